"""Weights clustered by k-means."""
