"""Exchange with the research code: its architecture files and its checkpoints."""
