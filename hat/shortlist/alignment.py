"""Word alignments of the training split, by eflomal, counted into a lexicon."""

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

# Pairs that are aligned together, at most: bounds the memory, and what a kill loses.
PART = 250_000
# IBM 1, HMM and fertility. One sampler: what a second one would smooth, the sum over all sentences does.
MODEL, SAMPLERS = 3, 1


def make_lexicon(split: PairedSplit, sentences: int, folder: Path, made_from: str) -> Lexicon:
    """The lexicon of a training split, kept in ``folder``; parts that are there already are not aligned again.

    Source and target are aligned in both directions, and the links of both are counted: one that both find counts
    twice. eflomal draws its random numbers from the system, so a second lexicon differs a little from the first.

    Args:
        split: the training split.
        sentences: pairs to align, at most; spread evenly over the split.
        folder: where the work is kept.
        made_from: digest of the data.

    Raises:
        HatError: eflomal failed.
        InputError: eflomal is not installed.
    """
    numbers = spread_numbers(len(split), sentences)
    count = -(-len(numbers) // PART)
    identity = digest([made_from, len(numbers), PART, MODEL, SAMPLERS])
    stamp, whole = folder / "lexicon.json", folder / "lexicon.npz"
    known = read_json(stamp) if stamp.exists() else {}
    if known.get("identity") != identity:
        for path in folder.glob("lexicon*.npz"):
            path.unlink()
        write_json(stamp, {"identity": identity, "sentences": len(numbers), "parts": count})
    if whole.exists():
        return Lexicon.load(whole)
    paths = [folder / f"lexicon-{part}.npz" for part in range(count)]
    with progress("Aligning words", len(numbers)) as show:
        done = 0
        for part, path in enumerate(paths):
            show(done, f"part {part + 1} of {count}")
            # Every part sees all of the split: corpora lie in it one after the other.
            own = numbers[part::count]
            if not path.exists():
                align(split.source, split.target, own).save(path)
            done += len(own)
            show(done)
    lexicon = Lexicon.merged(Lexicon.load(path) for path in paths).best(KEPT)
    lexicon.save(whole)
    for path in paths:
        path.unlink()
    return lexicon


def align(source: IndexedDataset, target: IndexedDataset, numbers: npt.NDArray[np.int64]) -> Lexicon:
    """Lexicon of the pairs of these numbers; memory grows with the tokens of them.

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
                _lines(source, numbers),
                _lines(target, numbers),
                links_filename_fwd=str(links[0]),
                links_filename_rev=str(links[1]),
            )
        except (subprocess.CalledProcessError, OSError) as error:
            raise HatError(f"the word aligner eflomal failed ({error})") from None
        return Lexicon.merged(_counted(path, source, target, numbers) for path in links)


def _lines(side: IndexedDataset, numbers: npt.NDArray[np.int64]) -> Iterator[str]:
    """Numbers of tokens as text, without end symbols: eflomal lowercases what it reads."""
    return (" ".join(map(str, side[number][:-1].tolist())) for number in numbers)


def _counted(path: Path, source: IndexedDataset, target: IndexedDataset, numbers: npt.NDArray[np.int64]) -> Lexicon:
    """Lexicon of a file of links: a line for each pair holds ``SOURCE-TARGET`` positions."""
    lines = path.read_text(encoding="ascii").split("\n")[:-1]
    if len(lines) != len(numbers):
        raise HatError(f"the word aligner eflomal failed ({len(lines)} lines for {len(numbers)} sentence pairs)")
    counts = [line.count("-") for line in lines]
    positions = np.fromstring(" ".join(lines).replace("-", " "), np.int64, sep=" ").reshape(-1, 2)
    tokens = []
    for side, column in ((source, positions[:, 0]), (target, positions[:, 1])):
        begins = np.concatenate([[0], np.cumsum(side.sizes[numbers], dtype=np.int64)[:-1]])
        together = np.concatenate([side[number] for number in numbers])
        tokens.append(together[np.repeat(begins, counts) + column])
    return Lexicon.merged([Lexicon(tokens[0], tokens[1], np.ones(len(positions)))])
