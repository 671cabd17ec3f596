"""Errors about missing artifacts: one sentence that names the Snakemake target that makes them."""

from pathlib import Path

from hat.artifacts.layout import target_of
from hat.errors import InputError


class MissingArtifact(InputError):
    """An artifact does not exist yet.

    Args:
        missing: the artifact, or a description of it.
        target: the Snakemake target that makes it.
    """

    def __init__(self, missing: Path | str, target: Path | str) -> None:
        self.missing, self.target = str(missing), str(target)
        super().__init__(f"{missing} is missing; `snakemake {target}` makes it")


def require_artifact(path: Path, target: Path | None = None) -> Path:
    """Return the path of an artifact that exists.

    Args:
        path: the artifact.
        target: the Snakemake target that makes it; by default the artifact itself.

    Raises:
        MissingArtifact: it does not exist.
    """
    if not path.exists():
        raise MissingArtifact(path, target or path)
    return path


def missing_file(path: Path | str) -> InputError:
    """Make the error for a file that does not exist; for an artifact it names the target that makes it."""
    target = target_of(path)
    return InputError(f"{path}: no such file") if target is None else MissingArtifact(path, target)
