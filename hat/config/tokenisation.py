"""How text becomes tokens."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.base import Positive, Section

# Positions of the published networks. They limit sentences if training pairs are limited by words instead of tokens.
LONGEST_SOURCE = 1024


class Tokenisation(Section):
    """Settings from raw text to the tokens of the network."""

    normalise_punctuation: bool = Field(True, description="Apply the Moses punctuation normalisation")
    invisible: Literal["drop", "keep", "space"] = Field(
        "drop",
        description="Control and format characters: drop them, keep them, or replace them by spaces as"
        " remove-non-printing-char.perl does. With `keep` and `space` a no-break space separates words, as in"
        " tokenizer.perl",
    )
    normalise_splits: Literal["all", "train"] = Field(
        "all",
        description="Text that `normalise_punctuation` and `invisible: space` apply to: all, or (published) training"
        " text only",
    )
    plain_apostrophes: bool = Field(
        False,
        description="Replace the typographic apostrophe (U+2019) by ' except in training text, as published",
    )
    aggressive_hyphens: bool = Field(False, description="Split hyphens as Moses does with -a")
    lowercase: bool = Field(False, description="Lowercase all words")
    bpe_merges: Positive = Field(
        32000, description="Merge operations of byte-pair encoding, learnt on the training text of both languages"
    )
    joint_dictionary: bool = Field(
        True, description="Use one dictionary for both languages; sharing all embeddings needs it"
    )
    dictionary_size: Annotated[int, Field(ge=8)] | None = Field(
        None, description="Largest size of a dictionary, special tokens included. Default: all tokens"
    )
    limits: Literal["tokens", "words"] = Field(
        "tokens",
        description="Unit of the three limits below: tokens of the network, or Moses words (corpora of kind"
        " `archives` only; validation pairs are then taken from the remaining pairs)",
    )
    min_length: Positive = Field(1, description="Shortest training sentence")
    max_length: Positive = Field(250, description="Longest training sentence")
    max_ratio: Annotated[float, Field(ge=1)] | None = Field(
        1.5, description="Largest ratio of the two lengths of a training pair; null for no limit"
    )

    @property
    def longest_source(self) -> int:
        """Tokens of the longest sentence that a network may receive."""
        return self.max_length if self.limits == "tokens" else LONGEST_SOURCE
