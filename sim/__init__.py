"""Worlds that a robot can be run in: for tests, benchmarks, launch files and the command line, never for the core."""
