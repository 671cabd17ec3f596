"""Console, logs, progress, worker processes and machines."""
