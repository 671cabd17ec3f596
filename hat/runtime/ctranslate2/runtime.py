"""The CTranslate2 Runtime: fp32, and int8 with weights stored in int8; on a CPU.

A sentence is a batch of its own, so that its result, and its shortlist, depend on nothing else; several are
translated side by side.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctranslate2
import numpy as np
import numpy.typing as npt

from hat.config.runtimes import RUNTIMES
from hat.data.text.special_tokens import BEGIN, END, PAD, SPECIALS
from hat.errors import InputError
from hat.runtime.base import Blueprint, Decoding, Hypothesis, Weights, made_sentence, max_lengths
from hat.runtime.ctranslate2.files import SOURCE_POSITIONS, TARGET_POSITIONS, check_files, write_files
from hat.runtime.ctranslate2.limit import Open, ended, finish
from hat.runtime.shortlist import FILE, Shortlist

if TYPE_CHECKING:
    pass

# What CTranslate2 calls the precisions.
COMPUTE_TYPES = {"fp32": "float32", "int8": "int8"}
# In place of a length penalty of zero, with which CTranslate2 stops as soon as the best hypothesis ends: a length to
# the power of it is one.
NO_PENALTY = 1e-30
# Sources that CTranslate2 does not look at; their translation is empty.
EMPTY = ([END], [BEGIN, END])


class CTranslate2Model:
    """A network that translates on this machine.

    Args:
        translator: CTranslate2's.
        blueprint: the network.
        fewest_candidates: target tokens that are looked at for any sentence, whatever its shortlist adds.
        shortlist: what vmap.txt holds; all tokens are looked at where absent. Seldom needed here, it is read then.
    """

    def __init__(
        self,
        translator: ctranslate2.Translator,
        blueprint: Blueprint,
        fewest_candidates: int,
        shortlist: Callable[[], Shortlist] | None,
    ) -> None:
        self.translator = translator
        self.source_tokens, self.target_tokens = blueprint.source_tokens, blueprint.target_tokens
        self.target_numbers = {token: number for number, token in enumerate(blueprint.target_tokens)}
        self.fewest_candidates = fewest_candidates
        self.read_shortlist = shortlist
        # What every search is told. Padding, which has a row in the output projection, is no output.
        self.options = {
            "max_input_length": 0,
            "return_end_token": True,
            "suppress_sequences": [[SPECIALS[PAD]]],
            "use_vmap": shortlist is not None,
        }

    @cached_property
    def shortlist(self) -> Shortlist | None:
        """What each sentence's candidates are chosen by; None where all tokens are looked at."""
        return None if self.read_shortlist is None else self.read_shortlist()

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Best hypothesis of each source; the longest are begun first.

        Raises:
            InputError: a source, or what it may become, is longer than the position tables.
        """
        limits = max_lengths([len(source) for source in sources], decoding)
        for source, limit in zip(sources, limits, strict=True):
            _check_lengths(len(source), limit + 1)
        searches = {
            row: self._search(sources[row], decoding, limits[row])
            for row in sorted(range(len(sources)), key=lambda row: -len(sources[row]))
            if self._searchable(decoding, limits[row])
        }
        return [
            self._best(source, decoding, limit, searches.get(row))
            for row, (source, limit) in enumerate(zip(sources, limits, strict=True))
        ]

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """See :class:`hat.runtime.base.LoadedModel`."""
        _check_lengths(source_length, target_length)
        decoding = Decoding(beam=beam, min_length=target_length)
        self._search(made_sentence(len(self.source_tokens), source_length), decoding, target_length).result()

    def _searchable(self, decoding: Decoding, limit: int) -> bool:
        """Whether CTranslate2's search is ours, up to the longest output."""
        return limit > 0 and decoding.min_length == 0 and 2 * decoding.beam <= self.fewest_candidates

    def _best(self, source: list[int], decoding: Decoding, limit: int, search: Any) -> Hypothesis:
        """The best hypothesis of a source whose search was begun, or where ``search`` is None could not be."""
        if source in EMPTY:
            return Hypothesis((), 0.0)
        if search is not None:
            found = self._hypotheses(search.result())
            if all(hypothesis.tokens[-1] == END for hypothesis in found):
                # Their scores are divided by their lengths already.
                return Hypothesis(found[0].tokens[:-1], found[0].total)
        going, done = self._before_the_limit(source, decoding, limit, search is not None)
        return finish(
            going, done, lambda prefixes: self._logits(source, prefixes), self._numbers(source), limit, decoding
        )

    def _before_the_limit(
        self, source: list[int], decoding: Decoding, limit: int, searchable: bool
    ) -> tuple[list[Open], list[Hypothesis]]:
        """A search as it stands a few steps before its longest output: what goes on, and what has ended.

        CTranslate2 shows the ``beam`` best of its last step, ended or not. Where one of them has ended, another that
        it does not show would go on in its place; the step before is tried then.
        """
        beam = decoding.beam
        # Nothing is cut off the list: fewer than `beam` ended earlier, and the search does not stop for them.
        everything = {"num_hypotheses": 2 * beam, "patience": 2.0} if beam > 1 else {}
        for steps in range(limit if searchable else 0, 0, -1):
            search = self._search(source, decoding, steps, length_penalty=NO_PENALTY, **everything)
            found = self._hypotheses(search.result())
            going = [hypothesis for hypothesis in found if hypothesis.tokens[-1] != END]
            if len(going) == beam:
                return going, [ended(hypothesis, decoding) for hypothesis in found if hypothesis.tokens[-1] == END]
        return [Open((), 0.0)], []

    def _search(self, source: Sequence[int], decoding: Decoding, steps: int, **options: Any) -> Any:
        """Begin a search of at most so many steps; ``result()`` of what this returns waits for it."""
        asked: dict[str, Any] = {
            **self.options,
            "beam_size": decoding.beam,
            "num_hypotheses": decoding.beam if decoding.beam > 1 else 1,
            "length_penalty": decoding.length_penalty or NO_PENALTY,
            "max_decoding_length": steps,
            "min_decoding_length": decoding.min_length,
            "return_scores": True,
            **options,
        }
        return self.translator.translate_batch([self._named(source)], asynchronous=True, **asked)[0]

    def _hypotheses(self, result: Any) -> list[Open]:
        """What a search has found, best first; the end symbol is among the tokens."""
        numbers = self.target_numbers
        return [
            Open(tuple(numbers[token] for token in tokens), total)
            for tokens, total in zip(result.hypotheses, result.scores, strict=True)
        ]

    def _logits(self, source: list[int], prefixes: Sequence[tuple[int, ...]]) -> npt.NDArray[np.float32]:
        """Scores of the token after each of N equally long hypotheses, [N, C].

        Asked without the shortlist: with it, CTranslate2 takes the numbers of given target tokens from the map of
        an earlier sentence.
        """
        results = self.translator.translate_batch(
            [self._named(source)] * len(prefixes),
            [[self.target_tokens[number] for number in prefix] for prefix in prefixes],
            beam_size=1,
            max_input_length=0,
            max_decoding_length=len(prefixes[0]) + 1,
            min_decoding_length=0,
            return_end_token=True,
            return_logits_vocab=True,
        )
        numbers = self._numbers(source)
        return np.stack([np.asarray(result.logits[0][-1]).reshape(-1)[numbers] for result in results])

    def _numbers(self, source: list[int]) -> npt.NDArray[np.int32]:
        """The tokens that are scored, ascending."""
        if self.shortlist is None:
            return np.arange(len(self.target_tokens), dtype=np.int32)
        return self.shortlist.candidates(source)

    def _named(self, source: Sequence[int]) -> list[str]:
        return [self.source_tokens[number] for number in source]


def _check_lengths(source_length: int, steps: int) -> None:
    for what, length, longest in (
        ("source", source_length, SOURCE_POSITIONS),
        ("longest output", steps, TARGET_POSITIONS),
    ):
        if length > longest:
            raise InputError(f"a {what} of {length} tokens, expected at most {longest} with runtime 'ctranslate2'")


class CTranslate2Runtime:
    """Writes and loads networks for CTranslate2 on a CPU.

    Args:
        precision: ``fp32`` or ``int8``.
        threads: CPU threads of a sentence.
        parallel: sentences translated side by side.
    """

    facts = RUNTIMES["ctranslate2"]

    def __init__(self, precision: str, threads: int, parallel: int = 1) -> None:
        self.precision, self.threads, self.parallel = precision, threads, parallel

    def write(self, folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None) -> None:
        """See :class:`hat.runtime.base.Runtime`; replaces the files of a network that is there."""
        write_files(folder, blueprint, weights, shortlist, COMPUTE_TYPES[self.precision])

    def load(self, folder: Path, blueprint: Blueprint) -> CTranslate2Model:
        """See :class:`hat.runtime.base.Runtime`."""
        fewest_candidates = check_files(folder, blueprint)
        path, shortlist = folder / FILE, None
        if path.exists():
            shortlist = partial(
                Shortlist.parse, path.read_bytes(), path, blueprint.source_tokens, blueprint.target_tokens
            )
        try:
            translator = ctranslate2.Translator(
                str(folder),
                compute_type=COMPUTE_TYPES[self.precision],
                inter_threads=self.parallel,
                intra_threads=self.threads,
            )
        except (RuntimeError, ValueError, MemoryError) as error:
            problem = " ".join(str(error).split())
            raise InputError(f"{folder}: not a whole network for CTranslate2 ({problem})") from None
        return CTranslate2Model(translator, blueprint, fewest_candidates, shortlist)
