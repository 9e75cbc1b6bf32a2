"""Any sequence of events: the bounds hold, nobody busy is unloaded, everybody gets one end, and nobody starves."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mlxk2.domain.pool import Action, Close, Grant, Load, Pool
from mlxk2.domain.seating import ModelKey, Need, PoolLimits
from mlxk2.ports.errors import Conflict, EngineFailure

MEMORY, MOST, PATIENCE, QUEUE = 100, 3, 50.0, 4
MODELS = {
    ModelKey(name, "c" * 40): Need(name, least, desired)
    for name, least, desired in (("a", 20, 30), ("b", 40, 80), ("c", 60, 60), ("d", 90, 200), ("e", 120, 120))
}
models = st.sampled_from(sorted(MODELS))


class AnySequence(RuleBasedStateMachine):
    """Keeps its own books of what was loaded, held and closed, from the actions alone."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(PoolLimits(MEMORY, MOST, keep_alive=20, queue=QUEUE, patience=PATIENCE))
        self.now = 0.0
        self.sizes: dict[ModelKey, int] = {}
        self.loading: list[ModelKey] = []
        self.loaded: set[ModelKey] = set()
        self.closing: list[ModelKey] = []
        self.asked: dict[int, tuple[ModelKey, bool]] = {}
        self.holders: dict[int, ModelKey] = {}
        self.waiting: set[int] = set()
        self.pinned: set[ModelKey] = set()
        self.grown = False

    @rule(key=models, ahead=st.booleans())
    def want(self, key: ModelKey, ahead: bool) -> None:
        number = len(self.asked) + 1
        self.asked[number] = key, ahead
        self.waiting.add(number)
        self.follow(self.pool.want(number, key, MODELS[key], self.now, ahead=ahead))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.let_go(data.draw(st.sampled_from(sorted(self.asked))))

    @precondition(lambda self: self.loading)
    @rule(data=st.data(), more=st.sampled_from([0, 0, 0, -10, 25]))
    def load_ends_well(self, data: st.DataObject, more: int) -> None:
        self.finish_load(data.draw(st.sampled_from(self.loading)), more)

    @precondition(lambda self: self.loading)
    @rule(data=st.data())
    def load_fails(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.loading))
        self.loading.remove(key)
        del self.sizes[key]
        if key in self.closing:
            self.closing.remove(key)
        self.follow(self.pool.failed(key, EngineFailure("out of luck"), self.now))

    @precondition(lambda self: any(key not in self.loading for key in self.closing))
    @rule(data=st.data())
    def worker_is_gone(self, data: st.DataObject) -> None:
        self.finish_close(data.draw(st.sampled_from([key for key in self.closing if key not in self.loading])))

    @rule(seconds=st.integers(0, 30))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        self.follow(self.pool.pass_time(self.now))

    @rule(key=models, force=st.booleans())
    def unload(self, key: ModelKey, force: bool) -> None:
        is_busy = key in self.loading or key in self.holders.values()
        try:
            actions = self.pool.unload(key, self.now, force=force)
        except Conflict:
            assert is_busy
            assert not force
            return
        self.follow(actions, forced=key)

    @rule(key=models, pinned=st.booleans())
    def pin(self, key: ModelKey, pinned: bool) -> None:
        (self.pinned.add if pinned else self.pinned.discard)(key)
        self.pool.pin(key, pinned=pinned)

    def follow(self, actions: list[Action], forced: ModelKey | None = None) -> None:
        for action in actions:
            if isinstance(action, Load):
                assert action.key not in self.sizes
                self.sizes[action.key] = action.size
                self.loading.append(action.key)
                assert action.size >= MODELS[action.key].least
                assert sum(self.sizes.values()) <= MEMORY
            elif isinstance(action, Close):
                self.on_close(action.key, forced)
            else:
                self.waiting.remove(action.want)  # which also tells that it had no end before
                if isinstance(action, Grant):
                    key, ahead = self.asked[action.want]
                    assert key == action.key
                    assert key in self.loaded
                    if not ahead:
                        self.holders[action.want] = key

    def on_close(self, key: ModelKey, forced: ModelKey | None) -> None:
        if key == forced:
            self.holders = {want: held for want, held in self.holders.items() if held != key}
        else:
            assert key in self.loaded
            assert key not in self.holders.values()
            assert key not in self.pinned
        assert key not in self.closing
        self.closing.append(key)
        self.loaded.discard(key)

    def finish_load(self, key: ModelKey, more: int) -> None:
        need = MODELS[key]
        self.loading.remove(key)
        self.sizes[key] = self.pool.settle(key, grown(need, more))
        self.grown = self.grown or more > 0
        if key in self.closing:
            assert self.pool.loaded(key, self.now) == [Close(key)]
        else:
            self.loaded.add(key)
            self.follow(self.pool.loaded(key, self.now))

    def finish_close(self, key: ModelKey) -> None:
        self.closing.remove(key)
        del self.sizes[key]
        self.follow(self.pool.closed(key, self.now))

    def let_go(self, want: int) -> None:
        self.holders.pop(want, None)
        self.waiting.discard(want)
        self.follow(self.pool.release(want, self.now))

    @invariant()
    def the_books_agree(self) -> None:
        assert {seat.key: seat.size for seat in self.pool.seats} == self.sizes
        assert {want for want, _ in self.pool.waiting} == self.waiting
        assert {want: seat.key for seat in self.pool.seats for want in seat.holders} == self.holders

    @invariant()
    def the_bounds_hold(self) -> None:
        assert len(self.sizes) <= MOST
        assert self.grown or self.pool.taken <= MEMORY
        for key in MODELS:
            assert sum(self.asked[want][0] == key for want in self.waiting) <= QUEUE

    @invariant()
    def nobody_waits_for_a_model_that_is_there_unless_it_is_to_go(self) -> None:
        homeless = [want for want in self.waiting if self.asked[want][0] not in {*self.loading, *self.loaded}]
        for want in self.waiting:
            if self.asked[want][0] in self.loaded:
                assert homeless
                assert min(homeless) < want

    def teardown(self) -> None:
        """When leases are released, loads end and workers go, nobody who waits is left over."""
        for _ in range(200):
            if not self.waiting:
                return
            for want in list(self.holders):
                self.let_go(want)
            for key in list(self.loading):
                self.finish_load(key, 0)
            for key in list(self.closing):
                self.finish_close(key)
        raise AssertionError(f"{self.waiting} starve")


def grown(need: Need, more: int) -> Need:
    return Need(need.name, need.least + more, need.desired + more)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
