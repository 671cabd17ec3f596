"""The special tokens that every dictionary begins with, in fairseq's order."""

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
BEGIN, PAD, END, UNKNOWN = range(len(SPECIALS))
# Those that a translation may hold.
OUTPUT = (BEGIN, END, UNKNOWN)
