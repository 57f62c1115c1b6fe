"""Episodic memory under a budget: a spatially-aware reader and a rule for what to forget (docs/episodes.md)."""
