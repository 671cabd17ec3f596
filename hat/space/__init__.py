"""Architectures and the spaces they come from."""
