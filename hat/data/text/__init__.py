"""From sentences to tokens and back."""
