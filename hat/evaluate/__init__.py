"""Deployed folders, scores and what they are compared with."""
