// Bonxai beside our octree: the grid of its core, told on standard input what to do, as bench/cpp/octomap_arm.cpp is.
//
//   bonxai_arm STREAM RESOLUTION
//
//   hits MAP SCAN FORM     every point as a hit, log-odds added and clamped (FORM is ignored) -> ns
//   look MAP BEGIN END     -> ns, how many are occupied
//   size MAP               bytes, voxels
//
// Carving is a part of its map, which needs more than the core's headers; rays it cannot cast.

#include <algorithm>
#include <bonxai/bonxai.hpp>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

using Grid = Bonxai::VoxelGrid<float>;

struct Map {
  explicit Map(double resolution) : grid(resolution), accessor(grid.createAccessor()) {}
  Grid grid;
  Grid::Accessor accessor;
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

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  std::ifstream in(argv[1], std::ios::binary);
  const double resolution = std::stod(argv[2]);
  std::vector<std::vector<float>> scans(read_count(in));
  for (std::vector<float>& scan : scans) {
    read_floats(in, 3);  // the origin
    const int32_t count = read_count(in);
    scan = read_floats(in, 3 * size_t(count));
  }
  const std::vector<float> queries = read_floats(in, 3 * size_t(read_count(in)));
  const float hit = 0.8472979f, highest = 3.5111f;

  std::map<std::string, std::unique_ptr<Map>> maps;
  std::string command, name;
  while (std::cin >> command >> name) {
    std::unique_ptr<Map>& slot = maps[name];
    if (!slot) slot = std::make_unique<Map>(resolution);
    if (command == "hits") {
      int number, form;
      std::cin >> number >> form;
      const std::vector<float>& scan = scans[number];
      const int64_t begin = now();
      for (size_t i = 0; i < scan.size(); i += 3) {
        float* odds = slot->accessor.value(slot->grid.posToCoord(scan[i], scan[i + 1], scan[i + 2]), true);
        *odds = std::min(*odds + hit, highest);
      }
      std::cout << now() - begin << std::endl;
    } else if (command == "look") {
      size_t first, last, occupied = 0;
      std::cin >> first >> last;
      const auto accessor = slot->grid.createConstAccessor();
      const int64_t begin = now();
      for (size_t i = first; i < last; ++i) {
        const float* odds =
            accessor.value(slot->grid.posToCoord(queries[3 * i], queries[3 * i + 1], queries[3 * i + 2]));
        occupied += odds && *odds >= 0;
      }
      std::cout << now() - begin << ' ' << occupied << std::endl;
    } else if (command == "size") {
      std::cout << slot->grid.memUsage() << ' ' << slot->grid.activeCellsCount() << std::endl;
    } else {
      return 1;
    }
  }
}
