"""Optional dependencies: the extras of this package."""


def install_command(extra: str) -> str:
    """Return the shell command that installs an extra."""
    return f"pip install 'hat[{extra}]'"


def needs_package(what: str, error: ModuleNotFoundError, extra: str) -> str:
    """Return the sentence for a missing package.

    Args:
        what: the part that needs it, as subject of the sentence.
        error: the failed import.
        extra: the extra that installs the package.
    """
    return f"{what} needs the package {error.name}; {install_command(extra)}"
