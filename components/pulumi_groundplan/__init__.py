"""Pulumi components that keep a stated promise."""
