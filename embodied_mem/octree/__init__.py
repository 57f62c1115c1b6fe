"""A sparse octree of occupancy: see docs/octree.md."""

from embodied_mem.octree.caching import drop_stale_kernels

drop_stale_kernels()
