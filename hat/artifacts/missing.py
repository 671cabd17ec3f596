"""What is lacking, said in one sentence with the target that makes it."""

from pathlib import Path

from hat.artifacts.layout import target_of
from hat.errors import InputError


class Lacking(InputError):
    """An artifact that has not been made yet.

    Args:
        missing: the artifact, or what it is about.
        target: what ``snakemake`` has to be asked for.
    """

    def __init__(self, missing: Path | str, target: Path | str) -> None:
        self.missing, self.target = str(missing), str(target)
        super().__init__(f"{missing} is missing; `snakemake {target}` makes it")


def needed(path: Path, target: Path | None = None) -> Path:
    """The path of an artifact that exists.

    Args:
        path: the artifact.
        target: what Snakemake has to be asked for to have it; the artifact itself where absent.

    Raises:
        Lacking: it does not exist.
    """
    if not path.exists():
        raise Lacking(path, target or path)
    return path


def absent(path: Path | str) -> InputError:
    """The error of a file that does not exist; of an artifact of the workflow it names what makes it."""
    target = target_of(path)
    return InputError(f"{path}: no such file") if target is None else Lacking(path, target)
