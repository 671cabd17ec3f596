"""Validation sentences on which translations are scored before any model is deployed."""

from collections.abc import Sequence

from hat.config.scope import TaskScope
from hat.data.binary.batches import PairedSplit, spread_numbers
from hat.data.corpora.splits import raw_path
from hat.data.stages import codec, dictionary_path
from hat.data.text.dictionary import Dictionary
from hat.data.text.text import read_lines
from hat.errors import InputError


class ValidationTexts:
    """Sentences spread evenly over the validation split, as token ids and as text.

    ``split`` is the whole split, ``numbers`` are the indices of the sentences in it, ``references`` are their reference
    translations as raw text.

    Args:
        scope: the task.
        sentences: number of sentences; all sentences if the split has fewer.

    Raises:
        InputError: a file is missing or malformed.
    """

    def __init__(self, scope: TaskScope, sentences: int) -> None:
        chosen, data = scope.task_settings, scope.data
        self.language = chosen.target_language
        self.split = PairedSplit(data, chosen, "validation")
        self.numbers = spread_numbers(len(self.split), sentences)
        raw = raw_path(data, "validation", self.language)
        lines = list(read_lines(raw))
        if len(lines) != len(self.split):
            raise InputError(f"{raw}: {len(lines)} lines, expected {len(self.split)} as in the binarised split")
        self.references = [lines[number] for number in self.numbers]
        self._codec = codec(data, chosen, self.language)
        self._dictionary = Dictionary.load(dictionary_path(data, self.language))

    def decoded(self, translations: Sequence[Sequence[int]]) -> list[str]:
        """Return translations as text, given their token ids."""
        return [self._codec.decode(self._dictionary.decode(token_ids)) for token_ids in translations]
