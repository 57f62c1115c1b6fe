"""Faults for the log: a recorder and injector of disk operations, a model of a disk without power, flipped bits."""
