"""Files under results/: where they are, how they are written, and what is missing."""
