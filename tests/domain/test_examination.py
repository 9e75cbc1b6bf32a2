"""What `doctor` makes of what it sees: one test a finding."""

from dataclasses import replace

import pytest

from mlxk2 import __version__
from mlxk2.domain.examination.finding import Finding, Verdict, examine
from mlxk2.domain.examination.installation import Runtime, check_packages, check_python
from mlxk2.domain.examination.network import Network
from mlxk2.domain.examination.running import Trial, check_servers
from mlxk2.domain.examination.storage import check_cache, check_disk, check_memory
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.usecases.watch_servers import WatchServers
from mlxk2.entrypoints.cli.streaming import events
from mlxk2.ports.engine import LoadOptions, Watch, unwatched
from mlxk2.ports.errors import AccessProblem, EngineFailure, NetworkProblem, OperationError, ValidationError
from mlxk2.ports.examination import Device, HubAccess, Interpreter, Package
from mlxk2.ports.held import Held
from mlxk2.testing import (
    MemoryCache,
    MemoryCatalogue,
    MemoryClock,
    MemoryEngine,
    MemoryEngineLoader,
    MemoryHubAccess,
    MemoryMachine,
    MemorySetup,
    MemorySource,
    Pathology,
    StoredModel,
    healthy_model,
    sick_model,
)
from tests.running import ListedModels, ListedServers, a_model, a_server, holding

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
PYTHON = Interpreter("CPython", "3.12.1", ">=3.11", suits=True, system="macOS", processor="arm64")
GPU = Device("0.32.4", "Metal", "Apple M3")
CPU = Device("0.32.4", "CPU", "AMD EPYC", "OpenBLAS")
GB = 10**9


def told(finding: Finding) -> tuple[Verdict, str, str | None]:
    return finding.verdict, finding.text, finding.mend


class TestAnyCheck:
    def test_an_error_of_the_program_is_a_finding_with_its_mend(self) -> None:
        def check() -> Finding:
            raise AccessProblem("Cannot use the cache; check its permissions", details="EACCES")

        assert told(examine("cache", check)) == (FAIL, "Cannot use the cache [EACCES]", "check its permissions")

    def test_a_defect_is_one_too(self) -> None:
        def check() -> Finding:
            raise KeyError("odd")

        assert told(examine("cache", check)) == (FAIL, "KeyError: 'odd'", "please report this")


class TestPython:
    def test_one_that_suits(self) -> None:
        assert told(check_python(MemorySetup(PYTHON))) == (OK, "CPython 3.12.1 on macOS arm64", None)

    def test_one_that_is_too_old(self) -> None:
        finding = check_python(MemorySetup(replace(PYTHON, version="3.10.2", suits=False)))
        assert finding.verdict is FAIL
        assert finding.text.endswith("3.10.2 on macOS arm64; the program asks for >=3.11")

    def test_one_for_another_processor(self) -> None:
        finding = check_python(MemorySetup(replace(PYTHON, processor="x86_64", translated=True)))
        assert told(finding) == (
            FAIL,
            "CPython 3.12.1 on macOS x86_64, for which mlx has no Metal",
            "install Python for arm64, and this program with it",
        )


class TestPackages:
    def test_all_as_asked_for(self) -> None:
        finding = check_packages(MemorySetup())
        assert told(finding) == (OK, "mlx 0.32.4, mlx-lm 0.32.2; all 2 are as asked for", None)
        assert finding.values == (("mlx", "0.32.4"), ("mlx-lm", "0.32.2"))

    def test_what_is_missing_or_too_old_is_named_with_the_command_that_mends(self) -> None:
        packages = (
            Package("mlx", ">=0.32.4", "0.31.0", suits=False),
            Package("rich", ">=13.7", "15.0", suits=True),
            Package("mlx-lm", ">=0.32.2", None, suits=False),
        )
        assert told(check_packages(MemorySetup(packages=packages))) == (
            FAIL,
            "mlx is 0.31.0, not >=0.32.4, mlx-lm is missing",
            "pip install 'mlx>=0.32.4' 'mlx-lm>=0.32.2'",
        )


class TestDevice:
    def test_a_gpu_needs_no_blas(self) -> None:
        runtime = Runtime(MemorySetup(device=GPU))
        assert told(runtime.check_device()) == (OK, "Metal (Apple M3), with mlx 0.32.4", None)
        assert told(runtime.check_blas()) == (OK, "Not needed: Metal multiplies matrices", None)

    def test_a_cpu_with_a_fast_blas(self) -> None:
        runtime = Runtime(MemorySetup(device=CPU))
        assert told(runtime.check_device()) == (OK, "CPU (AMD EPYC), with mlx 0.32.4", None)
        assert told(runtime.check_blas()) == (OK, "OpenBLAS", None)

    def test_a_cpu_with_a_slow_one(self) -> None:
        runtime = Runtime(MemorySetup(device=replace(CPU, blas="the one that comes with mlx", slow_blas=True)))
        runtime.check_device()
        finding = runtime.check_blas()
        assert finding.verdict is WARN
        assert "libopenblas" in (finding.mend or "")

    def test_a_blas_that_nobody_knows_is_no_problem(self) -> None:
        runtime = Runtime(MemorySetup(device=replace(CPU, blas=None)))
        runtime.check_device()
        assert told(runtime.check_blas()) == (OK, "Not told by this system", None)

    def test_a_gpu_that_is_not_used(self) -> None:
        finding = Runtime(MemorySetup(device=replace(CPU, other_gpu=True))).check_device()
        assert finding.verdict is WARN
        assert "mlx[cuda13]" in (finding.mend or "")

    def test_a_crash_is_a_line_and_leaves_the_blas_open(self) -> None:
        crash = OperationError("mlx does not work: its process crashed with signal 6 (Aborted)", details="last words")
        runtime = Runtime(MemorySetup(device=crash))
        assert told(runtime.check_device()) == (
            FAIL,
            "mlx does not work: its process crashed with signal 6 (Aborted) [last words]",
            "install mlx anew: pip install --force-reinstall mlx mlx-lm",
        )
        assert told(runtime.check_blas()) == (WARN, "Not known, since mlx did not start", "see device")


class TestMemory:
    def test_enough(self) -> None:
        finding = check_memory(MemoryMachine(16 * GB, 8 * GB))
        assert told(finding) == (OK, "16.0 GB, 8.0 GB free; a model may take 8.0 GB now", None)
        assert dict(finding.values) == {"total_bytes": 16 * GB, "available_bytes": 8 * GB, "usable_bytes": 8 * GB}

    def test_little(self) -> None:
        assert check_memory(MemoryMachine(16 * GB, 2 * GB)).verdict is OK
        assert check_memory(MemoryMachine(16 * GB, 2 * GB - 1)).verdict is WARN

    def test_what_the_system_does_not_tell(self) -> None:
        assert told(check_memory(MemoryMachine(16 * GB, None))) == (OK, "16.0 GB; a model may take 12.0 GB now", None)
        assert told(check_memory(MemoryMachine(None, None))) == (OK, "Not told by this system", None)


class TestCache:
    def check(self, *models: StoredModel, setup: MemorySetup | None = None) -> Finding:
        cache = MemoryCache(models)
        return check_cache(cache, Inspector(cache, MemoryCatalogue()), setup or MemorySetup())

    def test_one_without_a_model(self) -> None:
        assert told(self.check()) == (OK, f"No models in {MemoryCache().place()}", None)

    def test_one_in_good_health(self) -> None:
        finding = self.check(healthy_model())
        assert told(finding) == (OK, f"1 model in {MemoryCache().place()}, all healthy", None)
        assert dict(finding.values) == {"path": MemoryCache().place(), "models": 1, "unhealthy": 0}

    def test_an_unhealthy_model_is_named_with_the_command_that_mends_it(self) -> None:
        verdict, text, mend = told(self.check(healthy_model(), sick_model(Pathology.MISSING_SHARD, "org/torn")))
        assert (verdict, mend) == (WARN, "mlxk2 pull org/torn --repair")
        assert "2 models in" in text
        assert "1 unhealthy, org/torn (" in text

    def test_several_are_counted(self) -> None:
        sick = [sick_model(Pathology.MISSING_SHARD, name) for name in ("org/a", "org/b")]
        verdict, text, mend = told(self.check(*sick))
        assert (verdict, mend) == (WARN, "see them all with: mlxk2 health")
        assert "2 unhealthy, such as org/a (" in text

    def test_a_download_that_goes_on_is_no_problem(self) -> None:
        sick = sick_model(Pathology.MISSING_SHARD, "org/coming")
        (commit,) = sick.revisions
        coming = replace(sick, held_locks=frozenset({f"{commit}.commit"}))
        assert self.check(coming).verdict is OK

    def test_one_that_cannot_be_written_to(self) -> None:
        verdict, text, mend = told(self.check(setup=MemorySetup(writable=False)))
        assert verdict is WARN
        assert text.endswith("it cannot be written to: pull and rm will fail")
        assert "HF_HUB_CACHE" in (mend or "")


class OfSize(MemoryCache):
    def __init__(self, free: int) -> None:
        super().__init__()
        self._left = free

    def free_bytes(self) -> int:
        return self._left


@pytest.mark.parametrize(
    ("free", "verdict"), [(5 * GB, OK), (5 * GB - 1, WARN), (100 * 10**6, WARN), (100 * 10**6 - 1, FAIL)]
)
def test_the_disk(free: int, verdict: Verdict) -> None:
    finding = check_disk(OfSize(free))
    assert (finding.verdict, finding.values) == (verdict, (("free_bytes", free),))
    assert bool(finding.mend) == (verdict is not OK)


class TestHub:
    def check(self, access: HubAccess) -> tuple[Finding, Finding]:
        network = Network(lambda: access)
        return network.check_hub(), network.check_token()

    def test_one_that_answers_and_no_token(self) -> None:
        hub, token = self.check(MemoryHubAccess())
        assert told(hub) == (OK, "memory://hub answers", None)
        assert (token.verdict, token.values) == (OK, (("present", False),))

    def test_offline_mode_is_told_and_not_failed(self) -> None:
        hub, token = self.check(MemoryHubAccess(is_offline=True, has_token=True))
        assert hub.verdict is OK
        assert hub.text.startswith("Offline mode is on")
        assert told(token) == (OK, "There is one; the Hub was not asked", None)

    def test_one_that_cannot_be_reached(self) -> None:
        problem = NetworkProblem("The Hub (x) cannot be reached; run the same command again")
        hub, token = self.check(MemoryHubAccess(has_token=True, problem=problem))
        assert (hub.verdict, hub.text) == (FAIL, "The Hub (x) cannot be reached")
        assert "HF_HUB_OFFLINE=1" in (hub.mend or "")
        assert token.verdict is OK

    def test_one_with_trouble(self) -> None:
        hub, token = self.check(MemoryHubAccess(503, has_token=True))
        assert told(hub) == (WARN, "memory://hub has trouble (HTTP 503)", "try again later")
        assert dict(token.values) == {"present": True, "accepted": None}

    def test_a_token_that_is_accepted(self) -> None:
        _, token = self.check(MemoryHubAccess(has_token=True))
        assert (token.verdict, dict(token.values)) == (OK, {"present": True, "accepted": True})

    def test_a_token_that_is_refused(self) -> None:
        hub, token = self.check(MemoryHubAccess(has_token=True, knows_token=False))
        assert hub.verdict is OK
        assert (token.verdict, dict(token.values)) == (FAIL, {"present": True, "accepted": False})
        assert "hf auth login" in (token.mend or "")

    def test_an_address_that_cannot_be_used_is_told_once(self) -> None:
        def refused() -> HubAccess:
            raise ValidationError("HF_ENDPOINT is 'x', which is no address; correct or unset it")

        network = Network(refused)
        assert told(examine("hub", network.check_hub)) == (
            FAIL,
            "HF_ENDPOINT is 'x', which is no address",
            "correct or unset it",
        )
        assert network.check_token().verdict is WARN


class TestServers:
    def check(self, held: dict[int, Held], *ports: int) -> Finding:
        servers = ListedServers([a_server(port) for port in ports])
        models = ListedModels(held)
        return check_servers(WatchServers(servers, lambda: models, __version__))

    def test_none(self) -> None:
        assert told(self.check({})) == (OK, "None of yours is running", None)

    def test_those_that_answer(self) -> None:
        finding = self.check({8000: holding(a_model()), 8001: holding()}, 8000, 8001)
        assert finding.verdict is OK
        assert finding.text == (
            "http://127.0.0.1:8000 (process 4700), 1 model in memory;"
            " http://127.0.0.1:8001 (process 4701), 0 models in memory"
        )

    def test_one_that_does_not(self) -> None:
        finding = self.check({8000: holding()}, 8000, 8001)
        assert finding.verdict is WARN
        assert "8001" in finding.text
        assert "kill 4701" in (finding.mend or "")


class Broken(MemoryEngineLoader):
    """Cannot load."""

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> MemoryEngine:
        del location, options, watch
        raise EngineFailure("The model's process crashed with signal 11; try again", details="Fatal: somewhere")


class TestGeneration:
    def trial(self, loader: MemoryEngineLoader) -> Trial:
        return Trial(loader, MemorySource("mlxk2/demo", {}), MemoryClock(), events)

    def test_an_answer(self) -> None:
        loader = MemoryEngineLoader(MemoryEngine(lambda _: "Hi!"))
        finding = self.trial(loader).check_generation()
        assert finding.verdict is OK
        assert finding.values == (("tokens", 4), ("seconds", 0.0))
        assert [location for location, _ in loader.loaded] == ["memory://mlxk2/demo"]

    def test_an_empty_answer(self) -> None:
        finding = self.trial(MemoryEngineLoader(MemoryEngine(lambda _: " "))).check_generation()
        assert (finding.verdict, finding.text) == (FAIL, "The demo model answers with nothing")

    def test_a_crash_while_it_loads_is_a_line(self) -> None:
        finding = self.trial(Broken(MemoryEngine(lambda _: ""))).check_generation()
        assert finding.verdict is FAIL
        assert finding.text == "The model's process crashed with signal 11 [Fatal: somewhere]"

    def test_a_failure_of_the_request_is_a_line_and_closes_the_engine(self) -> None:
        def fail(prompt: str) -> str:
            raise EngineFailure(f"broke over {len(prompt) > 0}")

        engine = MemoryEngine(fail)
        finding = self.trial(MemoryEngineLoader(engine)).check_generation()
        assert (finding.verdict, finding.text) == (FAIL, "broke over True")
        assert engine.closed
