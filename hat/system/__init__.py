"""Console, logs, progress, processes and machines."""
