"""Extras of this project: what else to install for a part of it."""


def install_command(extra: str) -> str:
    """The shell command that installs an extra."""
    return f"pip install 'hat[{extra}]'"


def needs_package(what: str, error: ModuleNotFoundError, extra: str) -> str:
    """Say that a package is missing.

    Args:
        what: what needs it, the subject of the sentence.
        error: the failed import.
        extra: the extra that installs the package.
    """
    return f"{what} needs the package {error.name}; {install_command(extra)}"
