"""Aligning words of the training split with eflomal, and counting the links in a lexicon."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import digest, read_json, write_json
from hat.data.binary.batches import PairedSplit, spread_numbers
from hat.data.binary.indexed import IndexedDataset
from hat.errors import HatError, InputError
from hat.shortlist.lexicon import KEPT, Lexicon
from hat.system.extras import needs_package
from hat.system.progress import progress

# Maximum number of pairs to align at once. It bounds the memory, and the work lost in an interruption.
PART = 250_000
# Model 3 is IBM 1, HMM and fertility. One sampler is enough, since counts are summed over all sentences.
MODEL, SAMPLERS = 3, 1


def make_lexicon(split: PairedSplit, sentences: int, folder: Path, made_from: str) -> Lexicon:
    """Return the lexicon of a training split, stored in ``folder``; finished parts are not aligned again.

    Words are aligned in both directions and the links of both are counted, so a link found by both counts twice.
    eflomal takes its random numbers from the system, so a second lexicon differs slightly from the first.

    Args:
        split: the training split.
        sentences: maximum number of pairs to align, spread evenly over the split.
        folder: folder for the lexicon and its unfinished parts.
        made_from: digest of the data.

    Raises:
        HatError: eflomal failed.
        InputError: eflomal is not installed.
    """
    chosen = spread_numbers(len(split), sentences)
    count = -(-len(chosen) // PART)
    identity = digest([made_from, len(chosen), PART, MODEL, SAMPLERS])
    stamp, whole = folder / "lexicon.json", folder / "lexicon.npz"
    known = read_json(stamp) if stamp.exists() else {}
    if known.get("identity") != identity:
        for path in folder.glob("lexicon*.npz"):
            path.unlink()
        write_json(stamp, {"identity": identity, "sentences": len(chosen), "parts": count})
    if whole.exists():
        return Lexicon.load(whole)
    paths = [folder / f"lexicon-{part}.npz" for part in range(count)]
    with progress("Aligning words", len(chosen)) as show:
        done = 0
        for part, path in enumerate(paths):
            show(done, f"part {part + 1} of {count}")
            # Each part is spread over the whole split, because its corpora are concatenated.
            indices = chosen[part::count]
            if not path.exists():
                align(split.source, split.target, indices).save(path)
            done += len(indices)
            show(done)
    lexicon = Lexicon.merged(Lexicon.load(path) for path in paths).best(KEPT)
    lexicon.save(whole)
    for path in paths:
        path.unlink()
    return lexicon


def align(source: IndexedDataset, target: IndexedDataset, indices: npt.NDArray[np.int64]) -> Lexicon:
    """Return the lexicon of the pairs at these indices. Memory grows with their number of tokens.

    Raises:
        HatError: eflomal failed.
        InputError: eflomal is not installed.
    """
    try:
        from eflomal import Aligner
    except ModuleNotFoundError as error:
        raise InputError(needs_package("making a shortlist", error, "workflow")) from None
    with tempfile.TemporaryDirectory() as folder:
        links = [Path(folder) / name for name in ("forward", "reverse")]
        try:
            Aligner(model=MODEL, n_samplers=SAMPLERS).align(
                _lines(source, indices),
                _lines(target, indices),
                links_filename_fwd=str(links[0]),
                links_filename_rev=str(links[1]),
            )
        except (subprocess.CalledProcessError, OSError) as error:
            raise HatError(f"the word aligner eflomal failed ({error})") from None
        return Lexicon.merged(_counted(path, source, target, indices) for path in links)


def _lines(side: IndexedDataset, indices: npt.NDArray[np.int64]) -> Iterator[str]:
    """Yield sentences as text of token ids, without end symbols. Ids are safe: eflomal lowercases its input."""
    return (" ".join(map(str, side[index][:-1].tolist())) for index in indices)


def _counted(path: Path, source: IndexedDataset, target: IndexedDataset, indices: npt.NDArray[np.int64]) -> Lexicon:
    """Return the lexicon of a file of links, whose lines hold the ``SOURCE-TARGET`` positions of each pair."""
    lines = path.read_text(encoding="ascii").split("\n")[:-1]
    if len(lines) != len(indices):
        raise HatError(f"the word aligner eflomal failed ({len(lines)} lines for {len(indices)} sentence pairs)")
    counts = [line.count("-") for line in lines]
    positions = np.fromstring(" ".join(lines).replace("-", " "), np.int64, sep=" ").reshape(-1, 2)
    tokens = []
    for side, column in ((source, positions[:, 0]), (target, positions[:, 1])):
        begins = np.concatenate([[0], np.cumsum(side.sizes[indices], dtype=np.int64)[:-1]])
        together = np.concatenate([side[index] for index in indices])
        tokens.append(together[np.repeat(begins, counts) + column])
    return Lexicon.merged([Lexicon(tokens[0], tokens[1], np.ones(len(positions)))])
