"""The deployed folder: export, description, translation."""
