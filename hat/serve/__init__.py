"""HTTP server for a deployed folder: ``hat serve``; needs the extra ``hat[serve]``."""
