"""Schemas of all JSON artifacts, a module per subject; :mod:`hat.schemas.catalogue` maps files to schemas."""
