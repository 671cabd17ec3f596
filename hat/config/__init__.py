"""Models of every file in config/, and the settings read from them."""
