"""Exchange with the research code: published networks, checkpoints and data, and fairseq."""
