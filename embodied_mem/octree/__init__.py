"""A sparse octree of occupancy: see docs/octree.md."""
