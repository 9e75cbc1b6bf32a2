"""The contract of `Attachment`, in memory."""

import pytest

from mlxk2.adapters.memory import MemoryAttachment, MemoryEngine
from mlxk2.ports.generation import GenerationRequest
from mlxk2.ports.servers import RunningServer
from mlxk2.testing.contracts import AttachmentContract
from mlxk2.testing.contracts.engine import scripts

MODEL = f"org/model@{'1' * 40}"


def server_at(port: int) -> RunningServer:
    return RunningServer(f"http://127.0.0.1:{port}", "key", port, port, "/cache", "1.0", 0.0, "/log")


class TestMemoryAttachment(AttachmentContract):
    @pytest.fixture
    def attachment(self, gone: RunningServer) -> MemoryAttachment:
        return MemoryAttachment({MODEL: MemoryEngine(scripts.free)}, gone=[gone.url])

    @pytest.fixture
    def server(self) -> RunningServer:
        return server_at(1)

    @pytest.fixture
    def gone(self) -> RunningServer:
        return server_at(2)

    @pytest.fixture
    def model(self) -> str:
        return MODEL

    @pytest.fixture
    def endless(self) -> GenerationRequest:
        return scripts.ENDLESS
