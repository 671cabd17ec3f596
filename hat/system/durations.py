"""Durations as people read them."""


def duration(seconds: float) -> str:
    """A duration in the two largest units that it has, such as ``0.4 s``, ``42 s``, ``2 min 42 s`` or ``3 d 4 h``."""
    if round(seconds, 1) < 1:
        return f"{seconds:.1f} s" if round(seconds, 1) else "0 s"
    whole = round(seconds)
    if whole >= 3600:
        whole = 60 * round(whole / 60)
    if whole >= 86400:
        whole = 3600 * round(whole / 3600)
    parts = ((whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
