"""Networks executed by PyTorch."""
