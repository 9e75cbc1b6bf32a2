"""Amounts of bytes in words."""


def size(count: int, space: str = " ") -> str:
    """Decimal units, as the Hub shows them: 1.2 GB."""
    if count < 1000:
        return f"{count}{space}B"
    value = float(count)
    for unit in ("KB", "MB", "GB", "TB", "PB"):
        value /= 1000
        if value < 999.95 or unit == "PB":
            break
    return f"{value:.1f}{space}{unit}"
