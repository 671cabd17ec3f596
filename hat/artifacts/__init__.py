"""Files below results/: their paths, atomic writing, and errors about missing ones."""
