"""Networks: layers, the Transformer of one Architecture, the SuperTransformer."""
