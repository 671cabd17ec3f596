"""The folder that is deployed: written, described, used."""
