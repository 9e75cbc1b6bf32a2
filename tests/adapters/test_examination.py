"""What `doctor` looks at, on this machine: Python, packages, mlx in another process, folders, a Hub on loopback."""

import os
import socket
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from huggingface_hub import close_session

from mlxk2.adapters.hub.access import HuggingFaceAccess
from mlxk2.adapters.system.setup import SystemSetup
from mlxk2.ports.errors import NetworkProblem, OperationError
from tests.e2e.pulling import TOKEN, no_thread_left
from tests.loopback_hub import LoopbackHub, faults

PATIENCE = 30.0


def crashing(code: str, patience: float = 60.0) -> SystemSetup:
    return SystemSetup(command=(sys.executable, "-c", code), patience=patience)


def distribution(folder: Path, name: str, version: str, *lines: str) -> None:
    """An installed package that is nothing but its description."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines])
    (info / "METADATA").write_text(f"{text}\n")


class TestPackages:
    def test_this_installation_is_described(self) -> None:
        found = {package.name: package for package in SystemSetup().packages()}
        assert found["msgspec"].installed == metadata.version("msgspec")
        assert found["msgspec"].suits
        assert "pytest" not in found

    def test_what_is_missing_or_of_another_version_does_not_suit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wants = (
            "have>=1.0,<2",
            "old>=2.0",
            "absent>=3",
            "mac>=1; sys_platform == 'other'",
            "more>=1; extra == 'x'",
        )
        distribution(tmp_path, "wanting", "1.0", *(f"Requires-Dist: {want}" for want in wants))
        distribution(tmp_path, "have", "1.5b2")
        distribution(tmp_path, "old", "1.9")
        monkeypatch.syspath_prepend(tmp_path)
        found = [(one.name, one.installed, one.suits) for one in SystemSetup("wanting").packages()]
        assert found == [("have", "1.5b2", True), ("old", "1.9", False), ("absent", None, False)]

    def test_a_python_that_is_too_old_does_not_suit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        distribution(tmp_path, "wanting", "1.0", "Requires-Python: >=4.2")
        monkeypatch.syspath_prepend(tmp_path)
        assert SystemSetup().interpreter().suits
        python = SystemSetup("wanting").interpreter()
        assert (python.suits, python.wanted) == (False, ">=4.2")

    def test_a_program_that_is_not_installed_says_so(self) -> None:
        for look in (SystemSetup("no-such-program").packages, SystemSetup("no-such-program").interpreter):
            with pytest.raises(OperationError, match="no-such-program is not installed"):
                look()


class TestDevice:
    @pytest.mark.skipif(find_spec("mlx") is None, reason="mlx is not installed")
    def test_mlx_is_tried_out(self) -> None:
        device = SystemSetup().device()
        assert device.version == metadata.version("mlx")
        assert device.kind in ("Metal", "CUDA", "CPU")
        assert (device.blas is not None) == (device.kind == "CPU")

    def test_a_crash_is_told_with_the_last_words(self) -> None:
        code = "import os, sys; sys.stderr.write('first\\n\\nlast words\\n'); sys.stderr.flush(); os.abort()"
        with pytest.raises(OperationError, match=r"its process crashed with signal 6 \(Aborted\)") as caught:
            crashing(code).device()
        assert (caught.value.details or "").startswith("first | last words")

    def test_so_is_an_mlx_that_cannot_be_imported(self) -> None:
        with pytest.raises(OperationError, match="ended with exit code 1") as caught:
            crashing("import no_such_mlx").device()
        assert "No module named 'no_such_mlx'" in (caught.value.details or "")

    @pytest.mark.parametrize("printed", ["", "not json", "[1]", '{"version": "1"}', '{"odd": 1}', "null"])
    def test_nonsense_is_no_device(self, printed: str) -> None:
        with pytest.raises(OperationError, match="mlx does not work: its process ended with exit code 0"):
            crashing(f"print({printed!r})").device()

    def test_one_that_hangs_is_not_waited_for(self) -> None:
        with pytest.raises(OperationError, match="did not start within"):
            crashing("import time; time.sleep(600)", patience=0.3).device()

    def test_a_python_that_cannot_be_started_is_told(self) -> None:
        with pytest.raises(OperationError, match="no such file"):
            SystemSetup(command=("/no/such/python",)).device()

    def test_secrets_in_its_last_words_are_not_told(self) -> None:
        with pytest.raises(OperationError) as caught:
            crashing(f"import sys; sys.exit('sent {TOKEN}')").device()
        assert caught.value.details == "sent (token)"


class TestFolders:
    def test_one_that_is_there_or_could_be(self, tmp_path: Path) -> None:
        assert SystemSetup().can_write(str(tmp_path))
        assert SystemSetup().can_write(str(tmp_path / "not" / "yet"))

    def test_a_file_is_no_folder_and_leads_to_none(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert not SystemSetup().can_write(str(tmp_path / "file"))
        assert not SystemSetup().can_write(str(tmp_path / "file" / "below"))

    @pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
    def test_one_that_is_write_protected(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        assert not SystemSetup().can_write(str(tmp_path / "below"))


@pytest.fixture(autouse=True, scope="module")
def _one_session() -> Iterator[None]:
    """A new one for each test would read all certificates again."""
    yield
    close_session()


class TestHubAccess:
    @pytest.fixture
    def server(self) -> Iterator[LoopbackHub]:
        with no_thread_left(), LoopbackHub() as server:
            yield server

    @pytest.fixture(autouse=True)
    def _nobody(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """No token of whoever runs the tests."""
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))

    def test_a_hub_answers_without_a_token(self, server: LoopbackHub) -> None:
        access = HuggingFaceAccess(server.endpoint)
        assert not access.has_token()
        reached = access.reach(PATIENCE)
        assert (reached.address, reached.status, reached.token) == (server.endpoint, 200, None)
        assert not server.requests[-1].has_authorization
        assert len(server.requests) == 1

    @pytest.mark.parametrize(("is_known", "status", "said"), [(True, 200, "accepted"), (False, 401, "refused")])
    def test_it_says_what_it_thinks_of_a_token(
        self, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch, is_known: bool, status: int, said: str
    ) -> None:
        if is_known:
            server.add_token(TOKEN, user="somebody")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        access = HuggingFaceAccess(server.endpoint)
        assert access.has_token()
        reached = access.reach(PATIENCE)
        assert (reached.status, reached.token) == (status, said)

    @pytest.mark.parametrize(
        "fault", [faults.Status(503), faults.Status(503, {"retry-after": "3600"}), faults.Status(429)]
    )
    def test_trouble_is_an_answer_and_is_asked_about_once(
        self, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch, fault: faults.Status
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        server.break_("/api/", fault, times=None)
        reached = HuggingFaceAccess(server.endpoint).reach(PATIENCE)
        assert (reached.status, reached.token) == (fault.code, "unknown")
        assert len(server.requests) == 1

    def test_nobody_there(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            endpoint = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}"
            with pytest.raises(NetworkProblem, match="cannot be reached") as caught:
                HuggingFaceAccess(endpoint).reach(PATIENCE)
        assert "secret" not in caught.value.message

    def test_one_that_says_nothing_is_not_waited_for(self) -> None:
        with no_thread_left(), socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(NetworkProblem, match=r"did not answer within|stopped answering"):
                HuggingFaceAccess(endpoint).reach(0.2)

    def test_offline_mode_asks_nobody(self, server: LoopbackHub) -> None:
        access = HuggingFaceAccess(server.endpoint, is_offline=True)
        assert access.is_offline()
        with pytest.raises(NetworkProblem, match="Offline mode is on"):
            access.reach(PATIENCE)
        assert server.requests == []
