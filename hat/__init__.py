"""Hardware-aware Transformers: translation models for a device and a latency budget."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hat.deploy.translator import Translator

__all__ = ["Translator"]


def __getattr__(name: str) -> Any:
    """Import :class:`hat.deploy.translator.Translator` when it is asked for: ``import hat`` stays instant."""
    if name == "Translator":
        from hat.deploy.translator import Translator

        return Translator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
