"""embodied_mem: a robot's long-term spatial memory. See docs/ARCHITECTURE.md for the map of the code."""

__version__ = "0.1.0"
