"""The CTranslate2 Runtime, on a CPU: fp32, or int8 with weights stored in int8.

Each sentence is a batch of its own, so that its result and its shortlist depend on no other sentence. Several
sentences are translated side by side.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt

from hat.config.runtimes import RUNTIMES
from hat.data.text.special_tokens import BEGIN, END, PAD, SPECIALS
from hat.errors import InputError
from hat.runtime.base import Blueprint, Decoding, Hypothesis, Weights, max_lengths, synthetic_sentence
from hat.runtime.ctranslate2.files import SOURCE_POSITIONS, TARGET_POSITIONS, check_files, write_files
from hat.runtime.ctranslate2.limit import Active, ended, finish
from hat.runtime.shortlist import FILE, Shortlist

# CTranslate2's names of the precisions.
COMPUTE_TYPES = {"fp32": "float32", "int8": "int8"}
# Stands for a length penalty of zero, with which CTranslate2 would stop as soon as the best hypothesis ends. A length
# to this power is one.
NO_PENALTY = 1e-30
# Sources that CTranslate2 skips; their translation is empty.
EMPTY = ([END], [BEGIN, END])


class CTranslate2Model:
    """A network ready to translate on this machine.

    Args:
        translator: CTranslate2's translator.
        blueprint: the network.
        fewest_candidates: the number of target tokens that every sentence may use; its shortlist may add more.
        shortlist: parses ``vmap.txt``, on first use since it is seldom needed here; None if all tokens are scored.
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
        self.target_ids = {token: token_id for token_id, token in enumerate(blueprint.target_tokens)}
        self.fewest_candidates = fewest_candidates
        self.read_shortlist = shortlist
        # Options of every search. Padding has a row in the output projection, but must never be generated.
        self.options = {
            "max_input_length": 0,
            "return_end_token": True,
            "suppress_sequences": [[SPECIALS[PAD]]],
            "use_vmap": shortlist is not None,
        }

    @cached_property
    def shortlist(self) -> Shortlist | None:
        """The shortlist; None if all tokens are scored."""
        return None if self.read_shortlist is None else self.read_shortlist()

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Return the best hypothesis of each source; the longest sources start first.

        Raises:
            InputError: a source or its longest possible output is longer than the position tables.
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
        self._search(synthetic_sentence(len(self.source_tokens), source_length), decoding, target_length).result()

    def _searchable(self, decoding: Decoding, limit: int) -> bool:
        """Whether CTranslate2's search equals ours (:mod:`hat.runtime.beam`) below the longest output."""
        return limit > 0 and decoding.min_length == 0 and 2 * decoding.beam <= self.fewest_candidates

    def _best(self, source: list[int], decoding: Decoding, limit: int, search: Any) -> Hypothesis:
        """Return the best hypothesis of a source; ``search`` is its CTranslate2 search, None if that is impossible."""
        if source in EMPTY:
            return Hypothesis((), 0.0)
        if search is not None:
            found = self._hypotheses(search.result())
            if all(hypothesis.tokens[-1] == END for hypothesis in found):
                # CTranslate2 has divided their scores by their lengths.
                return Hypothesis(found[0].tokens[:-1], found[0].total)
        active, finished = self._state_before_limit(source, decoding, limit, search is not None)
        return finish(
            active, finished, lambda prefixes: self._logits(source, prefixes), self._token_ids(source), limit, decoding
        )

    def _state_before_limit(
        self, source: list[int], decoding: Decoding, limit: int, searchable: bool
    ) -> tuple[list[Active], list[Hypothesis]]:
        """Return the active and the finished hypotheses of a search at the last step that CTranslate2 can show.

        CTranslate2 shows the ``beam`` best hypotheses of its last step, ended or not. If one of them has ended, an
        active one takes its place that CTranslate2 does not show, so the step before is tried.
        """
        beam = decoding.beam
        # These options return every hypothesis: fewer than `beam` ended earlier, and the search does not stop for them.
        everything = {"num_hypotheses": 2 * beam, "patience": 2.0} if beam > 1 else {}
        for steps in range(limit if searchable else 0, 0, -1):
            search = self._search(source, decoding, steps, length_penalty=NO_PENALTY, **everything)
            found = self._hypotheses(search.result())
            active = [hypothesis for hypothesis in found if hypothesis.tokens[-1] != END]
            if len(active) == beam:
                return active, [ended(hypothesis, decoding) for hypothesis in found if hypothesis.tokens[-1] == END]
        return [Active((), 0.0)], []

    def _search(self, source: Sequence[int], decoding: Decoding, steps: int, **options: Any) -> Any:
        """Start a search of at most ``steps`` steps; ``result()`` of the returned object waits for it."""
        settings: dict[str, Any] = {
            **self.options,
            "beam_size": decoding.beam,
            "num_hypotheses": decoding.beam if decoding.beam > 1 else 1,
            "length_penalty": decoding.length_penalty or NO_PENALTY,
            "max_decoding_length": steps,
            "min_decoding_length": decoding.min_length,
            "return_scores": True,
            **options,
        }
        return self.translator.translate_batch([self._tokens(source)], asynchronous=True, **settings)[0]

    def _hypotheses(self, result: Any) -> list[Active]:
        """Return the hypotheses that a search has found, best first; their tokens include the end symbol."""
        target_ids = self.target_ids
        return [
            Active(tuple(target_ids[token] for token in tokens), total)
            for tokens, total in zip(result.hypotheses, result.scores, strict=True)
        ]

    def _logits(self, source: list[int], prefixes: Sequence[tuple[int, ...]]) -> npt.NDArray[np.float32]:
        """Return the logits of the token after each of N equally long hypotheses, [N, C].

        The call does not use the shortlist: with it, CTranslate2 would look up the ids of given target tokens in the
        map of an earlier sentence.
        """
        results = self.translator.translate_batch(
            [self._tokens(source)] * len(prefixes),
            [[self.target_tokens[token_id] for token_id in prefix] for prefix in prefixes],
            beam_size=1,
            max_input_length=0,
            max_decoding_length=len(prefixes[0]) + 1,
            min_decoding_length=0,
            return_end_token=True,
            return_logits_vocab=True,
        )
        token_ids = self._token_ids(source)
        return np.stack([np.asarray(result.logits[0][-1]).reshape(-1)[token_ids] for result in results])

    def _token_ids(self, source: list[int]) -> npt.NDArray[np.int32]:
        """Return the ids of the tokens that are scored for a source, ascending, [C]."""
        if self.shortlist is None:
            return np.arange(len(self.target_tokens), dtype=np.int32)
        return self.shortlist.candidates(source)

    def _tokens(self, source: Sequence[int]) -> list[str]:
        return [self.source_tokens[token_id] for token_id in source]


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
        threads: CPU threads per sentence.
        parallel: sentences translated side by side.
    """

    facts = RUNTIMES["ctranslate2"]

    def __init__(self, precision: str, threads: int, parallel: int = 1) -> None:
        self.precision, self.threads, self.parallel = precision, threads, parallel

    def write(self, folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None) -> None:
        """See :class:`hat.runtime.base.Runtime`; replaces the files of an earlier network."""
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
            raise InputError(f"{folder}: not a complete network for CTranslate2 ({problem})") from None
        return CTranslate2Model(translator, blueprint, fewest_candidates, shortlist)
