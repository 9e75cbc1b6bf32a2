"""Which record every command answers with: for the schema, and for tests."""

from typing import Any

from mlxk2.entrypoints.cli.records.answers import RunData, RunEvent
from mlxk2.entrypoints.cli.records.completion import CompletionData
from mlxk2.entrypoints.cli.records.examination import DoctorData
from mlxk2.entrypoints.cli.records.fitting import FitData
from mlxk2.entrypoints.cli.records.models import HealthData, ListData, ShowData
from mlxk2.entrypoints.cli.records.pruning import PruneData
from mlxk2.entrypoints.cli.records.removal import RemoveManyData, RemoveResult
from mlxk2.entrypoints.cli.records.running import LogsData, PsData, PsEvent, StopData
from mlxk2.entrypoints.cli.records.server import ConfigData, ServeData
from mlxk2.entrypoints.cli.records.transfer import PullData, PullEvent, SearchData
from mlxk2.entrypoints.cli.records.upload import PushData
from mlxk2.entrypoints.cli.records.usage import UsageData
from mlxk2.entrypoints.cli.records.verification import VerifyData
from mlxk2.entrypoints.cli.records.versions import VersionData

DATA_OF_COMMAND: dict[str, Any] = {
    "list": ListData,
    "show": ShowData,
    "health": HealthData | VerifyData,
    "verify": VerifyData,
    "du": UsageData,
    "pull": PullData,
    "rm": RemoveResult | RemoveManyData,
    "prune": PruneData,
    "push": PushData,
    "search": SearchData,
    "fit": FitData,
    "run": RunData,
    "serve": ServeData,
    "ps": PsData,
    "stop": StopData,
    "logs": LogsData,
    "doctor": DoctorData,
    "completion": CompletionData,
    "config": ConfigData,
    "version": VersionData,
}
"""Every command's `data` on success; `rm` may carry LocksData beside an error."""

EVENT_OF_COMMAND: dict[str, Any] = {"pull": PullEvent, "run": RunEvent, "ps": PsEvent}
"""What every line of `--jsonl` holds, for the commands that have it."""
