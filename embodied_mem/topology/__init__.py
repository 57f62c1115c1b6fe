"""Places, the ways between them, and routes: a semantic topology graph (docs/topology.md)."""
