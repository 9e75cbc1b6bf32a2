"""Will a model fit into this machine's memory?"""

MEMORY_SHARE = 0.75
"""The part of the memory that a model may take: Metal lets one process keep about three quarters of it."""
OVERHEAD = 1.1
"""What a loaded model takes beside its weights, for a short context: a tenth, as a rule of thumb."""


def fits(weights: int | None, memory: int | None) -> bool | None:
    """Both in bytes; None when one of them is not known."""
    if weights is None or memory is None:
        return None
    return weights * OVERHEAD <= memory * MEMORY_SHARE
