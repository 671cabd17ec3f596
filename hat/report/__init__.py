"""Figures and tables, from artifacts only."""
