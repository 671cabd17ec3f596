"""Latency and energy of one network on this machine."""
