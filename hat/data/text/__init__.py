"""Conversion between sentences and tokens."""
