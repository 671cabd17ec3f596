"""From downloaded sources to binarised splits and batches of tokens."""
