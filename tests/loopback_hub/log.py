"""The log of all requests: what was asked, what was answered, and how many bytes of body left for the client."""

from dataclasses import dataclass, replace
from typing import Literal

from .byteranges import Part, part_of

Port = Literal["api", "cdn", "cas"]
"""The Hub, the storage of LFS files and of xorbs, the Xet store."""


@dataclass
class Request:
    port: Port
    method: str
    path: str
    query: str
    range: str | None
    has_authorization: bool
    status: int | None = None
    """None as long as, or because, nothing was answered."""
    bytes_sent: int = 0
    """Bytes of the body of the answer that the operating system took for the client."""
    bytes_received: int = 0
    """Bytes of the body of the request."""

    @property
    def is_for_content(self) -> bool:
        """Whether it asks for the content of a file, even if the answer only says where that is."""
        return self.method == "GET" and (self.port == "cdn" or "/resolve/" in self.path)

    def part(self, size: int) -> Part:
        """What it asks for of a file of this size."""
        return part_of(self.range, size)


class RequestLog:
    def __init__(self) -> None:
        self._requests: list[Request] = []

    def add(self, request: Request) -> None:
        self._requests.append(request)

    def copy(self) -> list[Request]:
        """The requests so far, which do not change when the server goes on."""
        return [replace(request) for request in self._requests]

    def clear(self) -> None:
        self._requests.clear()
