"""What a Xet store holds, and how a file, or a part of it, is put together again."""

from dataclasses import dataclass, field

from .content import Body
from .xet_format import Chunk, Term, XetFile


@dataclass(frozen=True)
class Xorb:
    body: Body
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Reconstruction:
    skipped: int
    """How many bytes of the first term come before what was asked for."""
    terms: tuple[Term, ...]


@dataclass
class XetStore:
    xorbs: dict[str, Xorb] = field(default_factory=dict)
    files: dict[str, XetFile] = field(default_factory=dict)

    def by_sha256(self, sha256: str) -> XetFile | None:
        return next((file for file in self.files.values() if file.sha256 == sha256), None)

    def reconstruct(self, file: XetFile, start: int, end: int) -> Reconstruction:
        """The chunks that hold the bytes from `start` to before `end`, and no others."""
        position = 0
        skipped: int | None = None
        terms = []
        for term in file.terms:
            wanted = []
            for index in range(term.first, term.end):
                following = position + self.xorbs[term.xorb].chunks[index].size
                if position < end and following > start:
                    wanted.append(index)
                    if skipped is None:
                        skipped = start - position
                position = following
            if wanted:
                terms.append(Term(term.xorb, wanted[0], wanted[-1] + 1))
        return Reconstruction(skipped or 0, tuple(terms))

    def size_of(self, term: Term) -> int:
        return sum(chunk.size for chunk in self.xorbs[term.xorb].chunks[term.first : term.end])

    def place_of(self, term: Term) -> tuple[int, int]:
        """Where the chunks of a term are in their xorb; the end is inclusive, as in a Range header."""
        chunks = self.xorbs[term.xorb].chunks
        return chunks[term.first].start, chunks[term.end - 1].end - 1
