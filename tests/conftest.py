"""Settings of all tests."""

from hypothesis import settings

# No test depends on how fast the machine is.
settings.register_profile("hat", deadline=None)
settings.load_profile("hat")
