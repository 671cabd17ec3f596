"""Binarised splits in fairseq's format, as published with the research code, used instead of a corpus."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from hat.artifacts.files import atomic
from hat.data.binary.indexed import IndexedDataset
from hat.data.corpora.splits import Pair
from hat.data.sources.archives import CONTAINERS, members_of
from hat.data.text.dictionary import Dictionary
from hat.errors import HatError, InputError

# fairseq's names of the splits.
SPLIT_NAMES = {"train": "train", "validation": "valid", "test": "test"}
# Names of byte-pair codes in such archives.
CODES_NAMES = ("code", "codes", "bpe.codes", "bpecodes")
CODES_PREFIX = "bpe."


class PreprocessedArchive:
    """An unpacked archive of binarised splits.

    Args:
        archive: tar or zip file.
        languages: source and target language.
        folder: folder to unpack into; its previous content is removed.

    Raises:
        HatError: the archive is damaged.
        InputError: a dictionary is missing or malformed, or the archive is not a tar or zip file.
    """

    def __init__(self, archive: Path, languages: tuple[str, str], folder: Path) -> None:
        self._languages, self._folder, self._archive = languages, folder, archive
        shutil.rmtree(folder, ignore_errors=True)
        if not archive.name.endswith(CONTAINERS):
            raise InputError(f"{archive}: not one of {', '.join(CONTAINERS)}")
        _unpack_flat(archive, folder)
        self.dictionaries = [Dictionary.load(folder / self.dictionary_name(language)) for language in languages]

    @staticmethod
    def dictionary_name(language: str) -> str:
        """Return the name of a language's dictionary inside the archive."""
        return f"dict.{language}.txt"

    def dictionary(self, language: str) -> Path:
        """Return the path of the unpacked dictionary of a language."""
        return self._folder / self.dictionary_name(language)

    def codes(self) -> Path | None:
        """Return the path of the unpacked byte-pair codes; None if the archive has none."""
        for path in sorted(self._folder.iterdir()):
            if path.name in CODES_NAMES or path.name.startswith(CODES_PREFIX):
                return path
        return None

    def pairs(self, split: str) -> Iterator[Pair]:
        """Yield the pairs of a split as space-separated byte-pair pieces.

        Raises:
            InputError: the split is missing or malformed, or its sides are not aligned.
        """
        name = SPLIT_NAMES[split]
        prefix = f"{name}.{self._languages[0]}-{self._languages[1]}"
        sides = [IndexedDataset(self._folder / f"{prefix}.{language}") for language in self._languages]
        if len(sides[0]) != len(sides[1]):
            raise InputError(f"{self._archive}, {prefix}: {len(sides[0])} and {len(sides[1])} sentences, not aligned")
        for side, dictionary, language in zip(sides, self.dictionaries, self._languages, strict=True):
            if len(side.tokens) and int(side.tokens.max()) >= len(dictionary):
                raise InputError(
                    f"{self._archive}, {prefix}.{language}: token id {int(side.tokens.max())},"
                    f" but its dictionary has {len(dictionary)} tokens"
                )
        for index in range(len(sides[0])):
            source, target = (
                " ".join(dictionary.decode(side[index].tolist()))
                for side, dictionary in zip(sides, self.dictionaries, strict=True)
            )
            yield Pair(source, target, self._archive.name)

    def remove(self) -> None:
        """Remove the folder of unpacked files."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _unpack_flat(archive: Path, folder: Path) -> None:
    """Unpack all regular files into one folder, ignoring the folders inside the archive."""
    folder.mkdir(parents=True)
    for name, stream in members_of(archive):
        flat = Path(name).name
        # Resource forks, which macOS adds to archives.
        if flat.startswith("._"):
            continue
        if (folder / flat).exists():
            raise HatError(f"{archive}: contains {flat} twice")
        with atomic(folder / flat, "wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
