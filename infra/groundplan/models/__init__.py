"""Models: performance, reliability and cost of a system, from its spec. No I/O but data files."""
