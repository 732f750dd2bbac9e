"""Whether the promise holds: bounded load, measured beside predicted, and the report."""
