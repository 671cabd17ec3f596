"""The lexical shortlist of a task: built from word alignments, with its size chosen on validation sentences."""
