"""From sources to aligned pairs in splits."""
