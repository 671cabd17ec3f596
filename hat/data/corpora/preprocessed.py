"""Binarised splits in fairseq's form, as the research code published them, taken in place of a corpus."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from hat.artifacts.files import atomic
from hat.data.binary.indexed import IndexedDataset
from hat.data.corpora.splits import Pair
from hat.data.sources.archives import CONTAINERS, members_of
from hat.data.text.dictionary import Dictionary
from hat.errors import HatError, InputError

# fairseq's names of our splits.
SPLIT_NAMES = {"train": "train", "validation": "valid", "test": "test"}
# Names that byte-pair codes go by in such archives.
CODES_NAMES = ("code", "codes", "bpe.codes", "bpecodes")
CODES_PREFIX = "bpe."


class PreprocessedArchive:
    """An archive of binarised data, unpacked.

    Args:
        archive: tar or zip file.
        languages: source and target language.
        folder: where it is unpacked; what is there from an earlier, unfinished run is unpacked anew.

    Raises:
        HatError: the archive is damaged.
        InputError: a file is missing or of another format.
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
        """Name of a language's dictionary inside the archive."""
        return f"dict.{language}.txt"

    def dictionary(self, language: str) -> Path:
        """The unpacked dictionary of a language."""
        return self._folder / self.dictionary_name(language)

    def codes(self) -> Path | None:
        """The unpacked byte-pair codes, where there are any."""
        for path in sorted(self._folder.iterdir()):
            if path.name in CODES_NAMES or path.name.startswith(CODES_PREFIX):
                return path
        return None

    def pairs(self, split: str) -> Iterator[Pair]:
        """Pairs of byte pairs of a split, parted by spaces.

        Raises:
            InputError: the split is missing, of another format, or its sides are not aligned.
        """
        name = SPLIT_NAMES[split]
        prefix = f"{name}.{self._languages[0]}-{self._languages[1]}"
        sides = [IndexedDataset(self._folder / f"{prefix}.{language}") for language in self._languages]
        if len(sides[0]) != len(sides[1]):
            raise InputError(f"{self._archive}, {prefix}: {len(sides[0])} and {len(sides[1])} sentences, not aligned")
        for side, dictionary, language in zip(sides, self.dictionaries, self._languages, strict=True):
            if len(side.tokens) and int(side.tokens.max()) >= len(dictionary):
                raise InputError(
                    f"{self._archive}, {prefix}.{language}: token {int(side.tokens.max())},"
                    f" but its dictionary has {len(dictionary)}"
                )
        for number in range(len(sides[0])):
            source, target = (
                " ".join(dictionary.decode(side[number].tolist()))
                for side, dictionary in zip(sides, self.dictionaries, strict=True)
            )
            yield Pair(source, target, self._archive.name)

    def remove(self) -> None:
        """Remove what was unpacked."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _unpack_flat(archive: Path, folder: Path) -> None:
    """Unpack all regular files into one folder, whatever folder they are in."""
    folder.mkdir(parents=True)
    for name, stream in members_of(archive):
        flat = Path(name).name
        # Files that a Mac adds to archives.
        if flat.startswith("._"):
            continue
        if (folder / flat).exists():
            raise HatError(f"{archive}: holds {flat} twice")
        with atomic(folder / flat, "wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
