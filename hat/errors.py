"""Errors that a user can act on: one sentence each, shown without a traceback."""


class HatError(Exception):
    """Something failed for a reason outside the code; the message is one sentence for the user.

    The command line ends with ``exit_code``: 1 if a step failed (download, disk, device).
    """

    exit_code = 1


class InputError(HatError):
    """A wrong configuration, argument or input file; the command line ends with exit code 2."""

    exit_code = 2
