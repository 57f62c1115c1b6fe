"""Weights in few bits: types, packing, group scales, compensation of their error, and the file that keeps them.

Codes are the model: every back-end (see `kernels`) executes the same codes, and is held against `reference` arithmetic.
"""
