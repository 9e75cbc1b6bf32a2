"""Findings on the Hub and the user's token, which is never told."""

from collections.abc import Callable

from mlxk2.domain.examination.finding import Finding, Verdict
from mlxk2.ports.errors import Mlxk2Error, NetworkProblem
from mlxk2.ports.examination import HubAccess, Reached

PATIENCE = 5.0
"""Seconds that the Hub may take to answer."""
_OFFLINE_STEP = "check the network and HF_ENDPOINT; to work without the Hub, set HF_HUB_OFFLINE=1"


class Network:
    """The Hub is asked once, for both findings; `access` makes the port, which may already refuse its address."""

    def __init__(self, access: Callable[[], HubAccess]) -> None:
        self._access = access
        self._reached: Reached | None = None

    def check_hub(self) -> Finding:
        access = self._access()
        if access.is_offline():
            text = "Offline mode is on (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE): nothing goes to the network"
            return Finding("hub", Verdict.OK, text, values=(("offline", True), ("address", None), ("status", None)))
        try:
            reached = self._reached = access.reach(PATIENCE)
        except NetworkProblem as error:
            return Finding("hub", Verdict.FAIL, error.message.partition("; ")[0], _OFFLINE_STEP)
        values = (("offline", False), ("address", reached.address), ("status", reached.status))
        if reached.status >= 500:
            text = f"{reached.address} has trouble (HTTP {reached.status})"
            return Finding("hub", Verdict.WARN, text, "try again later", values)
        return Finding("hub", Verdict.OK, f"{reached.address} answers", values=values)

    def check_token(self) -> Finding:
        try:
            has_token = self._access().has_token()
        except Mlxk2Error:
            return Finding("token", Verdict.WARN, "Not known, since the Hub's address cannot be used", "see hub")
        if not has_token:
            text = "None, which is needed for private and gated models only: hf auth login"
            return Finding("token", Verdict.OK, text, values=(("present", False),))
        said = self._reached.token if self._reached else None
        values = (("present", True), ("accepted", {"accepted": True, "refused": False}.get(said or "")))
        if said == "refused":
            mend = "correct or unset HF_TOKEN if it is set, else: hf auth login"
            return Finding("token", Verdict.FAIL, "There is one, and the Hub refuses it", mend, values)
        text = "There is one, and the Hub accepts it" if said == "accepted" else "There is one; the Hub was not asked"
        return Finding("token", Verdict.OK, text, values=values)
