"""Training of SuperTransformers and SubTransformers."""
