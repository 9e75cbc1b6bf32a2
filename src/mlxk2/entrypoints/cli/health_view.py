"""Verdicts on many models as people read them."""

from collections.abc import Sequence

from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.names import DEMO_ALIAS, DEMO_NAME, printable
from mlxk2.entrypoints.cli import human, model_view
from mlxk2.entrypoints.cli.output import Output

SHORT_COMMIT = 12


def tell_nothing(pattern: str | None, out: Output) -> None:
    if pattern:
        out.note(f"No model in the cache matches '{pattern}'; see what is there with: mlxk2 list --all")
    else:
        out.note("No model in the cache; get the demo: mlxk2 pull demo, or find one: mlxk2 search qwen")


def show_row(summary: ModelSummary, out: Output, *, full: bool, more: str = "") -> None:
    """The verdict, the name and the reason; `more` follows."""
    name = model_view.shown_name(summary, full=full)
    word = model_view.styled_health(summary, out)
    if summary.health.healthy:
        out.result(f"{word}    {name}{more}")
    else:
        out.result(f"{word}  {name}: {summary.health.reason}{more}")


def counts(healthy: int, unhealthy: int) -> str:
    """3 models: 2 healthy, 1 unhealthy."""
    bad = f", {unhealthy} unhealthy" if unhealthy else ""
    return f"{human.count(healthy + unhealthy, 'model')}: {healthy} healthy{bad}"


def advice(unhealthy: Sequence[ModelSummary], names: Sequence[str]) -> str:
    """The next step; `names` are those that `pull` should mend, unless they are being downloaded."""
    if all(summary.is_downloading for summary in unhealthy):
        return "Wait for the download to end"
    name = names[0] if len(names) == 1 else "<org/model>"
    return f"Fetch what is missing or damaged with: mlxk2 pull {name} --repair"


def pulled_name(name: str, commit: str | None) -> str:
    """What `pull` calls the model, or one revision of it."""
    if name == DEMO_NAME:
        return DEMO_ALIAS
    return f"{printable(name)}@{commit[:SHORT_COMMIT]}" if commit else printable(name)
