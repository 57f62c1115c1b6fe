"""Short-term memory of the current surroundings (docs/tokens.md)."""
