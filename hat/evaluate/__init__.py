"""Scores of deployed folders, and the losses to compare them with."""
