"""Everything from downloaded sources to binarised splits and batches of token ids."""
