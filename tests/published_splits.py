"""A small archive of splits, in the format of the published splits."""

import tarfile

from hat.data.binary.indexed import IndexedWriter
from hat.data.text.dictionary import Dictionary


def packed_splits(folder, sizes):
    """Write an archive of published splits whose dictionaries have these sizes."""
    inside = folder / "inside"
    inside.mkdir()
    for language, size in zip(("en", "de"), sizes, strict=True):
        counts = [(f"{chr(97 + number % 26)}{number}", 1000 - number) for number in range(size - 4)]
        Dictionary(counts).save(inside / f"dict.{language}.txt")
        for split, count in (("train", 30), ("valid", 12), ("test", 12)):
            with IndexedWriter(inside / f"{split}.en-de.{language}", size) as writer:
                for number in range(count):
                    writer.add([4 + (7 * number + step) % (size - 4) for step in range(4 + number % 5)] + [2])
    (inside / "code").write_text("#version: 0.2\na 1\nb 2\n")
    packed = folder / "splits.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        for path in sorted(inside.iterdir()):
            archive.add(path, path.name)
    return packed
