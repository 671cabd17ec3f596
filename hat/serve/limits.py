"""Limits of requests and of the server."""

from dataclasses import dataclass

# JSON may write a character outside the basic plane as two escapes of six bytes.
BYTES_OF_A_CHARACTER = 12
# Room for JSON's syntax around each text and around the request.
BYTES_AROUND_A_LINE = 16
BYTES_BESIDE = 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a request and of the server.

    Attributes:
        characters: most characters in all texts of a request.
        lines: most lines in all texts of a request.
        seconds: most seconds from a request's headers to its answer.
        queue: most requests that wait, not counting those being translated.
        grace_seconds: time to finish accepted requests when the server shuts down.
    """

    characters: int = 10_000
    lines: int = 200
    seconds: float = 30.0
    queue: int = 16
    grace_seconds: float = 20.0

    @property
    def body_bytes(self) -> int:
        """The longest body: fits the longest texts in any JSON encoding without superfluous whitespace."""
        return BYTES_BESIDE + BYTES_OF_A_CHARACTER * self.characters + BYTES_AROUND_A_LINE * self.lines
