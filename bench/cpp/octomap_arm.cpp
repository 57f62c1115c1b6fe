// OctoMap beside our octree: runs what it is told on standard input, answers in lines, times in thread CPU nanoseconds.
//
//   octomap_arm STREAM RESOLUTION
//
// STREAM: int32 scans; of each float32[3] origin, int32 points, float32[3 * points]; then int32 queries,
// float32[3 * queries] look-ups; int32 rays, float32[6 * rays] origins and directions; int32 boxes, float32[3 * boxes].
//
//   hits MAP SCAN FORM     every point as a hit; FORM 0: point by point, 1: each voxel once -> ns
//   carve MAP SCAN RANGE   insertPointCloud, discretised -> ns
//   look MAP BEGIN END     -> ns, how many are occupied
//   rays MAP BEGIN END RANGE -> ns, how many hit
//   box MAP NUMBER HALF    occupied leaves of a cube -> ns, how many
//   size MAP               bytes, leaves, occupied leaves
//   dump MAP FILE          int32[3] keys (0 at the origin) and float32 log-odds of every leaf
//   read FILE              .bt or .ot -> nodes, leaves

#include <octomap/octomap.h>

#include <cstdint>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace octomap;

struct Scan {
  point3d origin;
  Pointcloud cloud;
};

static int64_t now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t(time.tv_sec) * 1000000000 + time.tv_nsec;
}

static int32_t read_count(std::ifstream& in) {
  int32_t count = 0;
  in.read(reinterpret_cast<char*>(&count), 4);
  return count;
}

static std::vector<float> read_floats(std::ifstream& in, size_t count) {
  std::vector<float> values(count);
  in.read(reinterpret_cast<char*>(values.data()), std::streamsize(4 * count));
  return values;
}

static point3d at(const std::vector<float>& values, size_t index) {
  return point3d(values[index], values[index + 1], values[index + 2]);
}

static int64_t add_hits(OcTree& tree, const Scan& scan, int form) {
  const int64_t begin = now();
  if (form == 0) {
    for (const point3d& point : scan.cloud) tree.updateNode(point, true, true);
  } else {
    KeySet keys;
    for (const point3d& point : scan.cloud) keys.insert(tree.coordToKey(point));
    for (const OcTreeKey& key : keys) tree.updateNode(key, true, true);
  }
  return now() - begin;
}

static void dump(const OcTree& tree, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  for (auto leaf = tree.begin_leafs(); leaf != tree.end_leafs(); ++leaf) {
    const OcTreeKey key = leaf.getKey();
    const int32_t keys[3] = {key[0] - 32768, key[1] - 32768, key[2] - 32768};
    const float odds = leaf->getLogOdds();
    out.write(reinterpret_cast<const char*>(keys), 12);
    out.write(reinterpret_cast<const char*>(&odds), 4);
  }
}

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  std::ifstream in(argv[1], std::ios::binary);
  const double resolution = std::stod(argv[2]);
  std::vector<Scan> scans(read_count(in));
  for (Scan& scan : scans) {
    scan.origin = at(read_floats(in, 3), 0);
    const int32_t count = read_count(in);
    const std::vector<float> points = read_floats(in, 3 * size_t(count));
    scan.cloud.reserve(count);
    for (int32_t i = 0; i < count; ++i) scan.cloud.push_back(at(points, 3 * size_t(i)));
  }
  const std::vector<float> queries = read_floats(in, 3 * size_t(read_count(in)));
  const std::vector<float> rays = read_floats(in, 6 * size_t(read_count(in)));
  const std::vector<float> boxes = read_floats(in, 3 * size_t(read_count(in)));

  std::map<std::string, std::unique_ptr<OcTree>> trees;
  std::string command, name;
  while (std::cin >> command >> name) {
    if (command == "read") {
      std::unique_ptr<AbstractOcTree> read(name.substr(name.size() - 3) == ".bt" ? nullptr : AbstractOcTree::read(name));
      std::unique_ptr<OcTree> tree(read ? dynamic_cast<OcTree*>(read.release()) : new OcTree(name));
      std::cout << tree->size() << ' ' << tree->getNumLeafNodes() << std::endl;
      continue;
    }
    std::unique_ptr<OcTree>& slot = trees[name];
    if (!slot) slot.reset(new OcTree(resolution));
    OcTree& tree = *slot;
    if (command == "hits") {
      int scan, form;
      std::cin >> scan >> form;
      std::cout << add_hits(tree, scans[scan], form) << std::endl;
    } else if (command == "carve") {
      int scan;
      double range;
      std::cin >> scan >> range;
      const int64_t begin = now();
      tree.insertPointCloud(scans[scan].cloud, scans[scan].origin, range, true, true);
      std::cout << now() - begin << std::endl;
    } else if (command == "look") {
      size_t first, last, occupied = 0;
      std::cin >> first >> last;
      const int64_t begin = now();
      for (size_t i = first; i < last; ++i) {
        const OcTreeNode* node = tree.search(queries[3 * i], queries[3 * i + 1], queries[3 * i + 2]);
        occupied += node && tree.isNodeOccupied(node);
      }
      std::cout << now() - begin << ' ' << occupied << std::endl;
    } else if (command == "rays") {
      size_t first, last, hit = 0;
      double range;
      std::cin >> first >> last >> range;
      point3d end;
      const int64_t begin = now();
      for (size_t i = first; i < last; ++i) hit += tree.castRay(at(rays, 6 * i), at(rays, 6 * i + 3), end, true, range);
      std::cout << now() - begin << ' ' << hit << std::endl;
    } else if (command == "box") {
      size_t number, occupied = 0;
      float half;
      std::cin >> number >> half;
      const point3d middle = at(boxes, 3 * number), reach(half, half, half);
      const int64_t begin = now();
      const auto end = tree.end_leafs_bbx();
      for (auto leaf = tree.begin_leafs_bbx(middle - reach, middle + reach); leaf != end; ++leaf)
        occupied += tree.isNodeOccupied(*leaf);
      std::cout << now() - begin << ' ' << occupied << std::endl;
    } else if (command == "size") {
      size_t leaves = 0, occupied = 0;
      for (auto leaf = tree.begin_leafs(); leaf != tree.end_leafs(); ++leaf, ++leaves)
        occupied += tree.isNodeOccupied(*leaf);
      std::cout << tree.memoryUsage() << ' ' << leaves << ' ' << occupied << std::endl;
    } else if (command == "finish") {  // inner nodes as a user needs them for a pruned map
      const int64_t begin = now();
      tree.updateInnerOccupancy();
      std::cout << now() - begin << std::endl;
    } else if (command == "drop") {
      slot.reset();
      std::cout << 0 << std::endl;
    } else if (command == "dump") {
      std::string path;
      std::cin >> path;
      dump(tree, path);
      std::cout << 0 << std::endl;
    } else {
      return 1;
    }
  }
}
