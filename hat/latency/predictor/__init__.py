"""From an Architecture to milliseconds with an upper bound."""
