"""The `Hub` port on huggingface_hub: metadata, authentication, its HTTP session, uploads and Xet.

huggingface_hub reads the environment when it is imported, so two things are said before. This program tells nobody
what it is used for (without the switch it would ask the Hub for a list of AI agents first, to name them in requests).
And an empty variable counts as unset: an empty HF_HOME would have a file `token` of the current folder sent to the Hub.
"""

import os

for _name in ("HF_HOME", "HF_HUB_CACHE", "HF_TOKEN_PATH", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_DISABLE_TELEMETRY"):
    if os.environ.get(_name) == "":
        del os.environ[_name]
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from mlxk2.adapters.hub.hub import HuggingFaceHub  # noqa: E402 - after the environment
from mlxk2.adapters.hub.retrying import Retries  # noqa: E402 - after the environment

__all__ = ["HuggingFaceHub", "Retries"]
