"""K-means quantisation of weights."""
