"""How text becomes tokens."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.base import Positive, Section
from hat.config.corpus import LONGEST_SOURCE


class Tokenisation(Section):
    """From raw text to the tokens of the network."""

    normalise_punctuation: bool = Field(True, description="Apply the Moses punctuation normalisation")
    invisible: Literal["drop", "keep", "space"] = Field(
        "drop",
        description="Control and format characters: dropped, given to the tokeniser as they are, or made spaces as"
        " remove-non-printing-char.perl does; with keep and space a no-break space parts words, as in tokenizer.perl",
    )
    normalise_splits: Literal["all", "train"] = Field(
        "all",
        description="What `normalise_punctuation` and `invisible: space` are applied to: all text, or (published) to"
        " training text alone",
    )
    plain_apostrophes: bool = Field(
        False,
        description="Write the typographic apostrophe (U+2019) as ' in all text but that of training, as was published",
    )
    aggressive_hyphens: bool = Field(False, description="Split hyphens as Moses does with -a")
    lowercase: bool = Field(False, description="Lowercase all words")
    bpe_merges: Positive = Field(
        32000, description="Merge operations of byte-pair encoding, learnt on training text of both languages"
    )
    joint_dictionary: bool = Field(True, description="One dictionary for both languages (needed to share embeddings)")
    dictionary_size: Annotated[int, Field(ge=8)] | None = Field(
        None, description="Largest dictionary, special tokens included; all tokens are kept where absent"
    )
    limits: Literal["tokens", "words"] = Field(
        "tokens",
        description="What the three limits below count: tokens of the network, or Moses words (for corpora of kind"
        " `archives`, whose validation pairs are then taken from what is left)",
    )
    min_length: Positive = Field(1, description="Shortest training sentence")
    max_length: Positive = Field(250, description="Longest training sentence")
    max_ratio: Annotated[float, Field(ge=1)] | None = Field(
        1.5, description="Largest ratio of the two lengths of a training pair, where there is one"
    )

    @property
    def longest_source(self) -> int:
        """Tokens of the longest sentence that a network is given."""
        return self.max_length if self.limits == "tokens" else LONGEST_SOURCE
