"""Devices: reached, set up, checked, driven by an agent."""
