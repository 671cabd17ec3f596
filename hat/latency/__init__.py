"""Latency: measured on the device, and predicted from an Architecture."""
