"""What `completion` answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CompletionData:
    """`script` is what the shell is to read."""

    shell: str
    script: str
