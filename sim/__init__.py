"""Worlds that a robot can be run in. Used by tests, benchmarks, launch files and the command line, never by the core."""
