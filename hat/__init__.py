"""Hardware-aware Transformers: translation models for a device and a latency budget."""
