"""Models: performance, reliability and cost of a system, computed from its spec. Pure: no I/O but data files."""
