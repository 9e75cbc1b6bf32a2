"""The `Hub` port on huggingface_hub: metadata, authentication, its HTTP session, uploads and Xet.

This program tells nobody what it is used for. huggingface_hub reads the switch for that when it is imported; without
it, it asks the Hub for a list of AI agents first, to name them in its requests.
"""

import os

_SWITCH = "HF_HUB_DISABLE_TELEMETRY"
os.environ[_SWITCH] = os.environ.get(_SWITCH) or "1"

from mlxk2.adapters.hub.hub import HuggingFaceHub  # noqa: E402 - after the switch
from mlxk2.adapters.hub.retrying import Retries  # noqa: E402 - after the switch

__all__ = ["HuggingFaceHub", "Retries"]
