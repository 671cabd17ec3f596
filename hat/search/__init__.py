"""Search for the best Architecture under a latency budget."""
