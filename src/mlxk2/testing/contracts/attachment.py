"""The contract of `Attachment`: a server's model can be asked as if it were here, and stays with the server."""

import pytest

from mlxk2.ports.attachment import Attachment
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import Engine, Loading, Stepped
from mlxk2.ports.errors import Conflict, ModelNotFound, ServerGone
from mlxk2.ports.generation import Delta, Failed, Finished, FinishReason, GenerationRequest
from mlxk2.ports.held import Held, HeldModel
from mlxk2.ports.servers import RunningServer
from mlxk2.testing.contracts.engine.listening import Listener, answered, eventually

UNKNOWN = f"nobody/nothing@{'0' * 40}"


class AttachmentContract:
    """Subclasses supply the fixtures; the server has nothing loaded when a test begins."""

    @pytest.fixture
    def attachment(self, request: pytest.FixtureRequest) -> Attachment:
        raise NotImplementedError(request)

    @pytest.fixture
    def server(self, request: pytest.FixtureRequest) -> RunningServer:
        raise NotImplementedError(request)

    @pytest.fixture
    def gone(self, request: pytest.FixtureRequest) -> RunningServer:
        """One that cannot be reached any more."""
        raise NotImplementedError(request)

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> str:
        """`name@commit` of a model that the server can load."""
        raise NotImplementedError(request)

    @pytest.fixture
    def endless(self, request: pytest.FixtureRequest) -> GenerationRequest:
        """A request to that model that does not end by itself while a test is looking."""
        raise NotImplementedError(request)

    @pytest.fixture
    def engine(self, attachment: Attachment, server: RunningServer, model: str) -> Engine:
        return attachment.open(server, model)[0]

    def test_the_model_is_asked_as_if_it_were_here(self, engine: Engine) -> None:
        prompt = engine.render([Message("user", "hello")]).tokens
        answer = answered(engine, GenerationRequest(prompt, 5))
        assert answer.finished().prompt_tokens == len(prompt)
        assert engine.detokenize(answer.tokens) == answer.text
        engine.close()

    def test_its_loading_is_told_before_it_is_there(
        self, attachment: Attachment, server: RunningServer, model: str
    ) -> None:
        told: list[Loading | Stepped] = []
        attachment.open(server, model, told.append)[0].close()
        assert told
        assert all(isinstance(seen, Loading) and seen.stage for seen in told)

    def test_a_watch_that_raises_does_not_keep_it_from_being_loaded(
        self, attachment: Attachment, server: RunningServer, model: str
    ) -> None:
        def careless(seen: Loading | Stepped) -> None:
            raise RuntimeError(f"a careless watch: {seen}")

        engine, _ = attachment.open(server, model, careless)
        assert engine.info().vocab_size > 0
        engine.close()

    def test_what_is_loaded_is_held_with_its_revision(
        self, attachment: Attachment, server: RunningServer, model: str
    ) -> None:
        assert attachment.held(server).models == ()
        attachment.open(server, model)[0].close()
        held = only_model(attachment.held(server))
        assert f"{held.model}@{held.revision}" == model
        assert (held.state, held.busy, held.waiting) == ("loaded", 0, 0)

    def test_a_request_at_work_is_counted(
        self, attachment: Attachment, server: RunningServer, engine: Engine, endless: GenerationRequest
    ) -> None:
        running = Listener(engine, endless)
        running.wait_for(Delta)
        assert only_model(attachment.held(server)).busy == 1
        engine.close()
        assert eventually(lambda: only_model(attachment.held(server)).busy == 0)

    def test_to_close_ends_the_own_requests_and_leaves_those_of_others(
        self,
        attachment: Attachment,
        server: RunningServer,
        model: str,
        engine: Engine,
        endless: GenerationRequest,
    ) -> None:
        theirs, _ = attachment.open(server, model)
        mine, other = Listener(engine, endless), Listener(theirs, endless)
        for listener in (mine, other):
            listener.wait_for(Delta)
        engine.close()
        assert mine.finished().reason is FinishReason.CANCELLED
        assert eventually(lambda: only_model(attachment.held(server)).busy == 1)
        assert not other.has_ended
        assert isinstance(Listener(engine, endless).end(), Failed)
        theirs.close()
        assert other.finished().reason is FinishReason.CANCELLED

    @pytest.mark.parametrize("by_revision", [False, True])
    def test_what_is_unloaded_is_named_and_gone(
        self, attachment: Attachment, server: RunningServer, engine: Engine, model: str, *, by_revision: bool
    ) -> None:
        engine.close()
        reference = model if by_revision else model.partition("@")[0]
        assert attachment.unload(server, reference, force=False) == (model,)
        assert eventually(lambda: attachment.held(server).models == ())
        with pytest.raises(ModelNotFound):
            attachment.unload(server, reference, force=False)

    def test_a_busy_model_is_unloaded_only_by_force(
        self,
        attachment: Attachment,
        server: RunningServer,
        model: str,
        engine: Engine,
        endless: GenerationRequest,
    ) -> None:
        running = Listener(engine, endless)
        running.wait_for(Delta)
        with pytest.raises(Conflict):
            attachment.unload(server, model, force=False)
        assert not running.has_ended
        assert attachment.unload(server, model, force=True) == (model,)
        assert isinstance(running.end(), Finished | Failed)
        assert eventually(lambda: attachment.held(server).models == ())
        engine.close()

    def test_a_model_that_was_unloaded_can_be_had_again(
        self, attachment: Attachment, server: RunningServer, model: str, engine: Engine
    ) -> None:
        engine.close()
        attachment.unload(server, model, force=True)
        again, _ = attachment.open(server, model)
        prompt = tuple(again.tokenize("hello"))
        assert answered(again, GenerationRequest(prompt, 3)).text
        again.close()

    def test_a_model_that_the_server_does_not_have_is_not_found(
        self, attachment: Attachment, server: RunningServer
    ) -> None:
        with pytest.raises(ModelNotFound):
            attachment.open(server, UNKNOWN)
        with pytest.raises(ModelNotFound):
            attachment.unload(server, UNKNOWN, force=True)

    def test_a_server_that_cannot_be_reached_is_gone(
        self, attachment: Attachment, gone: RunningServer, model: str
    ) -> None:
        with pytest.raises(ServerGone):
            attachment.open(gone, model)
        with pytest.raises(ServerGone):
            attachment.held(gone)
        with pytest.raises(ServerGone):
            attachment.unload(gone, model, force=True)


def only_model(held: Held) -> HeldModel:
    (model,) = held.models
    return model
