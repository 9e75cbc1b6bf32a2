"""Which part of a file a Range header asks for."""

import re
from dataclasses import dataclass, field

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Part:
    start: int
    count: int
    status: int | None = None
    """What it makes of the status of an answer: 206 or 416, or nothing."""
    headers: dict[str, str] = field(default_factory=dict)


def part_of(header: str | None, size: int) -> Part:
    """Several ranges at once get the whole file, as from the CDN of the Hub."""
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or match.groups() == ("", ""):
        return Part(0, size, headers={"Content-Length": str(size)})
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
    if start >= end:
        return Part(0, 0, 416, {"Content-Length": "0", "Content-Range": f"bytes */{size}"})
    return Part(
        start,
        end - start,
        206,
        {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/{size}"},
    )
