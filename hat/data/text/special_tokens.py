"""The special tokens at the beginning of every dictionary, in fairseq's order, and their ids."""

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
BEGIN, PAD, END, UNKNOWN = range(len(SPECIALS))
# Special tokens that may occur in a translation.
OUTPUT = (BEGIN, END, UNKNOWN)
