"""Whether the Hub can be reached, and what it thinks of the user's token: one short request, never tried again."""

import threading
from typing import Literal

from huggingface_hub import get_session, get_token
from huggingface_hub.utils import build_hf_headers

from mlxk2 import __version__
from mlxk2.adapters.hub.failures import About, AsksToWait, offline, translate
from mlxk2.adapters.hub.hub import prepare_session, without_login
from mlxk2.ports.errors import Mlxk2Error, NetworkProblem
from mlxk2.ports.examination import Reached

_WITH_TOKEN = "/api/whoami-v2"  # noqa: S105 - a path
_WITHOUT = "/api/models?limit=1"


class HuggingFaceAccess:
    """The `HubAccess` port at one endpoint."""

    def __init__(self, endpoint: str, *, is_offline: bool = False) -> None:
        self._endpoint = endpoint
        self._shown = without_login(endpoint)
        self._is_offline = is_offline

    def is_offline(self) -> bool:
        return self._is_offline

    def has_token(self) -> bool:
        return bool(get_token())

    def reach(self, seconds: float) -> Reached:
        if self._is_offline:
            raise offline()
        answers: list[Reached | Mlxk2Error] = []
        asking = threading.Thread(target=lambda: answers.append(self._ask(seconds)), daemon=True)
        asking.start()  # a thread, since nothing else bounds how long a name server may take
        asking.join(seconds)
        answer = answers[0] if answers else self._silence(seconds)
        if isinstance(answer, Mlxk2Error):
            raise answer
        return answer

    def _ask(self, seconds: float) -> Reached | Mlxk2Error:
        has_token = self.has_token()
        try:
            prepare_session()
            address = f"{self._endpoint}{_WITH_TOKEN if has_token else _WITHOUT}"
            headers = build_hf_headers(library_name="mlxk2", library_version=__version__)
            answer = get_session().get(address, headers=headers, timeout=seconds, follow_redirects=True)
            status = int(answer.status_code)
        except AsksToWait as error:
            status = int(error.response.status_code)
        except Exception as error:  # noqa: BLE001 - told apart and translated
            return translate(error, About(self._shown), has_token=has_token)
        return Reached(self._shown, status, _said_to_token(status) if has_token else None)

    def _silence(self, seconds: float) -> NetworkProblem:
        return NetworkProblem(
            f"The Hub ({self._shown}) did not answer within {seconds:g} seconds; check the network and HF_ENDPOINT"
        )


def _said_to_token(status: int) -> Literal["accepted", "refused", "unknown"]:
    if status == 401:
        return "refused"
    return "accepted" if status < 300 else "unknown"
