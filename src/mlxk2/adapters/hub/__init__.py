"""The `Hub` port on huggingface_hub: metadata, authentication, its HTTP session, uploads and Xet."""

from mlxk2.adapters.hub.hub import HuggingFaceHub
from mlxk2.adapters.hub.retrying import Retries

__all__ = ["HuggingFaceHub", "Retries"]
