"""A Hugging Face Hub on the loopback device, for tests: it can be filled, broken, and asked what was asked of it.

    with LoopbackHub() as hub:
        hub.add_model("org/model", {"config.json": b"{}", "model.safetensors": Path("large.safetensors")})
        hub.break_("model.safetensors", faults.Cut(at=45_000_000), method="GET")
        ...  # let a program work with hub.endpoint
        assert hub.bytes_sent("model.safetensors") == ...

It speaks enough of the Hub's interface for an unmodified huggingface_hub, on ports of its own for the Hub, for the
storage of large files, and for Xet.
"""

from . import faults
from .hub import LoopbackHub
from .log import Request

__all__ = ["LoopbackHub", "Request", "faults"]
