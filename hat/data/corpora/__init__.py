"""Reading corpora and writing them as aligned splits."""
