"""What a server takes on."""

from dataclasses import dataclass

# JSON writes a character outside the basic plane as two escapes of six bytes; what stands around a line is less.
BYTES_OF_A_CHARACTER = 12
BYTES_AROUND_A_LINE = 16
BYTES_BESIDE = 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a request and of the server.

    ``characters`` and ``lines`` count all texts of a request together; ``seconds`` are those of a request from its
    headers to its answer; ``queue`` requests wait at most, beside those that are translated; at the end
    ``grace_seconds`` are left for what has been accepted.
    """

    characters: int = 10_000
    lines: int = 200
    seconds: float = 30.0
    queue: int = 16
    grace_seconds: float = 20.0

    @property
    def body_bytes(self) -> int:
        """The longest body: JSON of the longest texts fits, however it is written but for idle spaces."""
        return BYTES_BESIDE + BYTES_OF_A_CHARACTER * self.characters + BYTES_AROUND_A_LINE * self.lines
