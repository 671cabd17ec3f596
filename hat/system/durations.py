"""Durations as text."""


def duration(seconds: float) -> str:
    """Format a duration: ``0.4 s``, ``42 s``, ``2 min 42 s``, ``1 h 5 min``, ``1,200 h``."""
    if round(seconds, 1) < 1:
        return f"{seconds:.1f} s" if round(seconds, 1) else "0 s"
    whole = round(seconds)
    if whole >= 3600:
        whole = 60 * round(whole / 60)
    if whole >= 86_400:
        whole = 3600 * round(whole / 3600)
    parts = ((whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    return " ".join(f"{count:,} {unit}" for count, unit in parts if count)
