"""The lexical shortlist of a task: made from word alignments, its size chosen by validation."""
