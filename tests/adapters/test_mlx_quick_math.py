"""Exponentials that MLX computes slowly on x86: the quick ones give the same numbers, and are used where they pay."""

import platform
import sys
from importlib.resources import files
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.nn.layers.activations import silu
from mlx_lm.models import cache
from numpy.typing import NDArray

from mlxk2.adapters.memory import MemoryMachine
from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx import quick_attention, quick_math
from mlxk2.adapters.mlx.loading import load_model
from mlxk2.adapters.mlx.polynomials import exp_below_zero
from mlxk2.adapters.mlx.quick_math import quicken
from mlxk2.adapters.mlx.quick_norm import norm
from mlxk2.adapters.mlx.quick_rotation import rotate
from mlxk2.adapters.mlx.urgency import once_a_step, one_step, only_caches
from mlxk2.ports.engine import LoadOptions

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or mx.default_device() != mx.cpu,
    reason="MLX's own are quick here",
)
FEW, SOME, MANY = 100, 2**14 + 3, 2**18 + 5
DEMO = str(files("mlxk2") / "assets" / "demo")


@pytest.fixture(autouse=True)
def quickened() -> None:
    assert quicken()


def own(function: Any) -> Any:
    return function.__wrapped__


def exact(a: mx.array) -> NDArray[np.float64]:
    return np.array(a).astype(np.float64)


@pytest.mark.parametrize("size", [FEW, SOME, MANY])
def test_sigmoid_and_tanh_are_right_for_any_number_of_numbers(size: int) -> None:
    x = mx.array(np.linspace(-30, 30, size, dtype=np.float32))
    assert np.abs(exact(mx.sigmoid(x)) - 1 / (1 + np.exp(-exact(x)))).max() < 4e-7
    assert np.abs(exact(mx.tanh(x)) - np.tanh(exact(x))).max() < 5e-7
    assert np.abs(exact(silu(x)) - exact(x) / (1 + np.exp(-exact(x)))).max() < 4e-6


@pytest.mark.parametrize("size", [FEW, SOME, MANY])
def test_a_small_sigmoid_can_be_a_divisor(size: int) -> None:
    """Experts are weighed by one over the sum of such."""
    x = mx.array(np.linspace(-25, -5, size, dtype=np.float32))
    right = 1 / (1 + np.exp(-exact(x)))
    assert np.abs(exact(mx.sigmoid(x)) / right - 1).max() < 3e-4


@pytest.mark.parametrize("size", [FEW, SOME, MANY])
@pytest.mark.parametrize(
    ("x", "sigmoid", "tanh"), [(-np.inf, 0, -1), (-1e4, 0, -1), (0, 0.5, 0), (1e4, 1, 1), (np.inf, 1, 1)]
)
def test_far_out_they_are_exact(size: int, x: float, sigmoid: float, tanh: float) -> None:
    numbers = mx.full((size,), x)
    assert mx.all(mx.sigmoid(numbers) == sigmoid)
    assert mx.all(mx.tanh(numbers) == tanh)


@pytest.mark.parametrize("size", [FEW, SOME, MANY])
def test_what_is_no_number_stays_none(size: int) -> None:
    numbers = mx.full((size,), np.nan)
    assert mx.all(mx.isnan(mx.sigmoid(numbers)))
    assert mx.all(mx.isnan(mx.tanh(numbers)))


def test_exp_is_right_to_its_own_size_and_nothing_far_below() -> None:
    x = mx.array(np.linspace(-87, 0, MANY, dtype=np.float32))
    assert np.abs(exact(exp_below_zero(x)) / np.exp(exact(x)) - 1).max() < 4e-6
    assert exp_below_zero(mx.array([0.0])).item() == pytest.approx(1, abs=2e-7)
    assert exp_below_zero(mx.array([-87.7, -1e4, -3e38, -np.inf])).tolist() == [0, 0, 0, 0]
    assert mx.isnan(exp_below_zero(mx.array([np.nan]))).item()


@pytest.mark.parametrize("shape", [(4, 8), (3, 16384), (2, 4, 70, 90), (1, 300_000)])
def test_softmax_is_right_for_any_shape(shape: tuple[int, ...]) -> None:
    x = mx.random.normal(shape) * 5
    chances = np.exp(exact(x) - exact(x).max(axis=-1, keepdims=True))
    assert np.abs(exact(mx.softmax(x, axis=-1)) - chances / chances.sum(axis=-1, keepdims=True)).max() < 1e-6
    assert mx.allclose(mx.softmax(x, axis=0), own(mx.softmax)(x, 0))


def test_softmax_takes_arrays_in_any_order_of_memory() -> None:
    x = mx.random.normal((4, 8, 64, 64))
    for turned in (x.swapaxes(1, 2), x.swapaxes(2, 3), mx.broadcast_to(x[:, :1], x.shape), x[:, ::2]):
        assert mx.allclose(mx.softmax(turned, axis=-1), own(mx.softmax)(turned, -1), atol=1e-6)


@pytest.mark.parametrize("size", [FEW, SOME, MANY])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softmax"])
def test_gradients_are_right(name: str, size: int) -> None:
    function = getattr(mx, name)
    x, weights = mx.random.normal((size,)), mx.random.normal((size,))
    options = {"axis": -1} if name == "softmax" else {}
    found = mx.grad(lambda a: (function(a, **options) * weights).sum())(x)
    expected = mx.grad(lambda a: (own(function)(a, **options) * weights).sum())(x)
    assert mx.allclose(found, expected, atol=1e-5)


def test_gradients_and_maps_of_attention_are_right() -> None:
    q, k, v = (mx.random.normal((1, 4, 80, 16)) for _ in range(3))
    quick = mx.fast.scaled_dot_product_attention

    def loss(function: Any) -> Any:
        return lambda a: function(a, k, v, scale=0.25, mask="causal").square().sum()

    assert mx.allclose(mx.grad(loss(quick))(q), mx.grad(loss(own(quick)))(q), atol=1e-3)
    many = mx.stack([q, q + 1])
    mapped = mx.vmap(lambda a: quick(a, k, v, scale=0.25))(many)
    assert mx.allclose(mapped[1], quick(q + 1, k, v, scale=0.25), atol=1e-5)


def test_what_nobody_looks_at_is_not_computed() -> None:
    """Some models squeeze the logits of every token of a prompt; only the last token's are wanted."""
    mx.reset_peak_memory()
    begun = mx.get_active_memory()
    logits = mx.tanh(mx.zeros((2048, 512)) @ mx.zeros((512, 64_000)) / 30) * 30
    assert logits.shape == (2048, 64_000)
    assert mx.get_peak_memory() - begun < 64 * 2**20


def test_attention_has_a_piece_of_its_scores_in_memory() -> None:
    q = mx.random.normal((1, 16, 1024, 32))
    k, v = mx.random.normal((2, 1, 4, 4096, 32))
    mx.eval(q, k, v)
    mx.reset_peak_memory()
    begun = mx.get_active_memory()
    mx.eval(mx.fast.scaled_dot_product_attention(q, k, v, scale=0.2, mask="causal"))
    all_scores = 16 * 1024 * 4096 * 4
    assert mx.get_peak_memory() - begun < all_scores / 4


def test_the_input_is_left_as_it_is() -> None:
    x = mx.random.normal((3, 2**17))
    before = mx.array(np.array(x))
    mx.eval(mx.softmax(x, axis=-1), mx.sigmoid(x), mx.tanh(x))
    assert mx.array_equal(x, before)


SHOWN = {"of keys": "k", "of all": "qk", "of rows": "r1qk", "of heads": "rhqk"}
NUMBERS = {"numbers": "r1qk", "half numbers": "qk"}
MASKS = ("none", "causal", *SHOWN, "one row hidden", *NUMBERS)


def mask_of(kind: str, rows: int, heads: int, queries: int, keys: int) -> Any:
    lengths = {"r": rows, "h": heads, "q": queries, "k": keys, "1": 1}
    if kind in SHOWN:
        return mx.random.uniform(shape=[lengths[axis] for axis in SHOWN[kind]]) > 0.3
    if kind in NUMBERS:
        numbers = mx.random.normal([lengths[axis] for axis in NUMBERS[kind]])
        return numbers.astype(mx.float16) if kind.startswith("half") else numbers
    if kind == "one row hidden":
        return mx.arange(rows)[:, None, None, None] > mx.zeros((1, 1, 1, keys))
    return None if kind == "none" else kind


def scores(q: mx.array, k: mx.array, mask: Any) -> Any:
    _, heads, queries, size = q.shape
    k = mx.repeat(k, heads // k.shape[1], axis=1)
    product = (q @ k.swapaxes(-1, -2)) * size**-0.5
    if mask is None:
        return product
    if isinstance(mask, str):
        mask = mx.tri(queries, k.shape[2], k.shape[2] - queries).astype(mx.bool_)
    return mx.where(mask, product, mx.finfo(mx.float32).min) if mask.dtype == mx.bool_ else product + mask


@pytest.mark.parametrize("piece", [2**21, 2**13])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "shape",
    [
        (1, 4, 4, 130, 130),
        (3, 8, 2, 40, 90),
        (2, 6, 1, 33, 200),
        (1, 2, 2, 2, 9000),
        (32, 4, 4, 1, 200),
        (2, 8, 2, 1, 2000),
    ],
)
def test_attention_is_right_for_any_shape_and_mask(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], mask: str, piece: int
) -> None:
    monkeypatch.setattr(quick_attention, "_PIECE", piece)
    monkeypatch.setattr(quick_attention, "_CACHED", piece // 16)
    rows, heads, groups, queries, keys = shape
    q, k = mx.random.normal((rows, heads, queries, 32)), mx.random.normal((rows, groups, keys, 32))
    v = mx.random.normal((rows, groups, keys, 48))
    hidden = mask_of(mask, rows, heads, queries, keys)
    chances: Any = own(mx.softmax)(scores(q, k, hidden), -1)
    expected = chances @ mx.repeat(v, heads // groups, axis=1)
    found = mx.fast.scaled_dot_product_attention(q, k, v, scale=32**-0.5, mask=hidden)
    assert found.shape == expected.shape
    assert mx.allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mask", ["none", "causal", "of rows", "one row hidden"])
def test_attention_of_single_queries_is_not_mlxs_own(mask: str) -> None:
    q, k, v = mx.random.normal((32, 8, 1, 32)), mx.random.normal((32, 2, 200, 32)), mx.random.normal((32, 2, 200, 32))
    hidden = mask_of(mask, 32, 8, 1, 200)
    quick = mx.fast.scaled_dot_product_attention
    found, plain = (one(q, k, v, scale=0.2, mask=hidden) for one in (quick, own(quick)))
    assert not mx.array_equal(found, plain)
    assert mx.allclose(found, plain, atol=1e-5)


@pytest.mark.parametrize("length", [1, 40])
@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("offset", [0, 1234, mx.array([0, 77, -3])])
def test_pieces_and_steps_are_rotated_as_by_mlx_to_the_bit(
    offset: Any, scale: float, traditional: bool, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = []

    def seen(*arguments: Any) -> mx.array:
        rotated.append(arguments)
        return rotate(*arguments)

    monkeypatch.setattr("mlxk2.adapters.mlx.quick_math.rotate", seen)
    x = mx.random.normal((3, length, 4, 64)).swapaxes(1, 2)
    options = {"traditional": traditional, "base": 10_000.0, "scale": scale, "offset": offset}
    expected = own(mx.fast.rope)(x, 64, **options)
    with only_caches(2) if length > 1 else one_step([offset]):
        assert mx.array_equal(mx.fast.rope(x, 64, **options), expected)
    assert len(rotated) == 1
    assert mx.array_equal(mx.fast.rope(x, 64, **options), expected)


def test_the_layers_of_a_step_share_what_was_made_of_its_places_and_the_next_step_does_not() -> None:
    first, second, other = mx.array([1, 2]), mx.array([1, 2]), mx.array([1, 2])
    with one_step([first, second]):
        made = once_a_step("waves", first, lambda: first + 1)
        assert once_a_step("waves", second, lambda: second + 2) is made
        assert once_a_step("other waves", second, lambda: 3) == 3
        assert once_a_step("waves", other, lambda: 3) is None
    first += 1
    assert once_a_step("waves", first, lambda: 3) is None
    with one_step([first]):
        found: Any = once_a_step("waves", first, lambda: first + 1)
    assert found.tolist() == [3, 4]


def test_a_step_is_begun_while_its_later_layers_are_still_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(DEMO, LoadOptions(), MemoryMachine()).model
    layers = len(kv.new_caches(model))
    tokens = mx.array([[5], [6]])
    begun: list[mx.array] = []
    begin = mx.async_eval

    def seen(*arrays: mx.array) -> None:
        begun.extend(arrays)
        begin(*arrays)  # type: ignore[no-untyped-call]

    def caches() -> list[Any]:
        return kv.merge([kv.new_caches(model), kv.new_caches(model)])

    monkeypatch.setattr(mx, "async_eval", seen)
    expected = model(tokens, cache=caches())
    assert begun == []
    at = []
    with one_step([], lambda: at.append(len(begun)), middle=2):
        logits = model(tokens, cache=caches())
    assert len(begun) == layers
    assert at == [2]
    assert mx.array_equal(logits, expected)


@pytest.mark.parametrize("weighed", [True, False])
@pytest.mark.parametrize(
    "shape", [(1, 192), (192,), (16, 1, 192), (2, 3, 64), (1, 1, 4, 48), (4, 1, 4, 48), (5, 1, 1, 8)]
)
@pytest.mark.parametrize("numbers", [1e-4, 1.0, 1e4])
def test_a_few_rows_are_normed_as_by_mlx(shape: tuple[int, ...], numbers: float, weighed: bool) -> None:
    x = mx.random.normal(shape) * numbers
    weight = mx.random.normal(shape[-1:]) if weighed else None
    quick, mlxs = mx.fast.rms_norm(x, weight, 1e-5), own(mx.fast.rms_norm)(x, weight, 1e-5)
    assert quick.shape == mlxs.shape
    assert mx.allclose(quick, mlxs, rtol=1e-5, atol=1e-6)


def test_gradients_and_maps_of_the_norm_are_right() -> None:
    x, weight = mx.random.normal((4, 64)), mx.random.normal((64,))

    def total(function: Any) -> Any:
        return mx.grad(lambda a: mx.sum(function(a, weight, 1e-5) * mx.arange(64)))(x)

    assert mx.allclose(total(mx.fast.rms_norm), total(own(mx.fast.rms_norm)), rtol=1e-3, atol=1e-3)
    mapped = mx.vmap(lambda a: mx.fast.rms_norm(a, weight, 1e-5))(x)
    assert mx.allclose(mapped, own(mx.fast.rms_norm)(x, weight, 1e-5), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (mx.ones((4, 64)), mx.array(2.0)),
        (mx.ones((4, 64)), mx.ones(1)),
        (mx.ones((4, 64)), mx.ones((4, 1))),
        (mx.ones((4, 64)), mx.ones((4, 64))),
        (mx.array(1.0), None),
        (mx.array(1.0), mx.array(1.0)),
        ([1.0, 2.0], None),
        (mx.ones((4, 64)), 1.0),
    ],
)
def test_what_mlx_cannot_norm_is_refused_as_by_mlx(x: Any, weight: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as mlxs:
        own(mx.fast.rms_norm)(x, weight, 1e-5)
    with pytest.raises(mlxs.type) as refused:
        mx.fast.rms_norm(x, weight, 1e-5)
    assert str(refused.value).splitlines()[0] == str(mlxs.value).splitlines()[0]


def test_an_epsilon_of_numpys_is_taken_as_mlx_takes_it() -> None:
    eps: Any = np.float32(1e-5)
    assert mx.allclose(mx.fast.rms_norm(mx.ones((4, 64)), None, eps), mx.ones((4, 64)), atol=1e-4)


def test_of_a_few_rows_the_norm_is_not_mlxs_own_and_of_others_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def watched(x: mx.array, weight: mx.array | None, eps: float) -> mx.array:
        seen.append(x.shape)
        return norm(x, weight, eps)

    monkeypatch.setattr(quick_math, "norm", watched)
    for x in (mx.ones((16, 1, 64)), mx.ones((17, 1, 64)), mx.ones((0, 64)), mx.ones((1, 1, 64), mx.float16)):
        mx.fast.rms_norm(x, mx.ones((64,), x.dtype), 1e-5)
    mx.fast.rms_norm(mx.ones((1, 64)), None, 1e-5, stream=mx.cpu)
    assert seen == [(16, 1, 64)]


@pytest.mark.parametrize(
    ("size", "dtype", "options"),
    [
        (32, mx.float32, {"base": 10_000.0}),
        (64, mx.float16, {"base": 10_000.0}),
        (64, mx.float32, {"base": None, "freqs": mx.arange(1, 33).astype(mx.float32)}),
        (64, mx.float32, {"base": 10_000.0, "stream": mx.cpu}),
    ],
)
@pytest.mark.parametrize("length", [1, 64])
def test_other_rotations_are_left_to_mlx(length: int, size: int, dtype: Any, options: dict[str, Any]) -> None:
    x = mx.random.normal((1, 8, length, 64)).astype(dtype)
    expected = own(mx.fast.rope)(x, size, traditional=False, scale=1.0, offset=3, **options)
    with only_caches(2):
        found = mx.fast.rope(x, size, traditional=False, scale=1.0, offset=3, **options)
    assert mx.array_equal(found, expected)


@pytest.mark.parametrize("shape", [(3, 4, 50, 16), (1, 2, 7, 5), (2, 1, 9, 0)])
def test_rows_are_rolled_as_by_mlx_lm(shape: tuple[int, ...]) -> None:
    x = mx.random.normal(shape)
    shifts = mx.array([[(5 * row) % shape[2]] for row in range(shape[0])])
    assert mx.array_equal(cache.dynamic_roll(x, shifts, axis=2), own(cache.dynamic_roll)(x, shifts, axis=2))
    x, shifts = x[:, 0], shifts[:, 0]
    assert mx.array_equal(cache.dynamic_roll(x, shifts, axis=1), own(cache.dynamic_roll)(x, shifts, axis=1))


def test_attention_of_keys_in_the_middle_of_a_larger_memory() -> None:
    """As a cache gives them: with room for more behind each head."""
    q, kept = mx.random.normal((1, 4, 100, 32)), mx.random.normal((2, 1, 4, 512, 32))
    k, v = kept[0, :, :, :300], kept[1, :, :, :300]
    expected = own(mx.fast.scaled_dot_product_attention)(q, k, v, scale=0.2, mask="causal")
    assert mx.allclose(mx.fast.scaled_dot_product_attention(q, k, v, scale=0.2, mask="causal"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("queries", "dtype", "options"),
    [
        (1, mx.float32, {}),
        (64, mx.float16, {}),
        (64, mx.float32, {"sinks": mx.zeros((4,))}),
        (64, mx.float32, {"stream": mx.cpu}),
    ],
)
def test_what_is_not_usual_is_left_to_mlx(queries: int, dtype: Any, options: dict[str, Any]) -> None:
    q, k, v = (mx.random.normal((1, 4, length, 32)).astype(dtype) for length in (queries, 600, 600))
    expected = own(mx.fast.scaled_dot_product_attention)(q, k, v, scale=0.2, **options)
    assert mx.array_equal(mx.fast.scaled_dot_product_attention(q, k, v, scale=0.2, **options), expected)


@pytest.mark.parametrize("mask", ["full", "", mx.zeros((1, 2, 64, 600)), mx.zeros((3, 64, 600))])
def test_what_mlx_refuses_is_refused(mask: Any) -> None:
    q, k, v = mx.random.normal((1, 4, 64, 32)), mx.random.normal((1, 2, 600, 32)), mx.random.normal((1, 2, 600, 32))
    with pytest.raises(ValueError, match=r"mask|broadcast"):
        mx.eval(mx.fast.scaled_dot_product_attention(q, k, v, scale=0.2, mask=mask))


@pytest.mark.filterwarnings("error")
def test_infinite_scores_go_without_a_word() -> None:
    q, k, v = (mx.random.normal((1, 4, length, 32)) for length in (64, 600, 600))
    for mask in (mx.full((64, 600), -mx.inf), mx.full((64, 600), 3e38), mx.zeros((64, 600), mx.bool_)):
        for factor in (1.0, 1e30):
            found = mx.fast.scaled_dot_product_attention(q * factor, k * factor, v, scale=1.0, mask=mask)
            expected = own(mx.fast.scaled_dot_product_attention)(q * factor, k * factor, v, scale=1.0, mask=mask)
            assert mx.array_equal(mx.isnan(found), mx.isnan(expected))


def test_a_model_says_the_same_with_them_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(DEMO, LoadOptions(), MemoryMachine()).model
    tokens = mx.random.randint(5, 700, (3, 250))
    quick = model(tokens)
    mx.eval(quick)
    without(monkeypatch)
    plain = model(tokens)
    assert not mx.array_equal(quick, plain)  # else the quick ones were not used
    assert mx.allclose(quick, plain, rtol=1e-3, atol=1e-3)
    assert mx.mean(mx.argmax(quick, axis=-1) == mx.argmax(plain, axis=-1)) > 0.99


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sigmoid", "tanh", "softmax"):
        monkeypatch.setattr(mx, name, own(getattr(mx, name)))
    for name in ("scaled_dot_product_attention", "rope"):
        monkeypatch.setattr(mx.fast, name, own(getattr(mx.fast, name)))
    monkeypatch.setattr(cache, "dynamic_roll", own(cache.dynamic_roll))


def filled(model: Any, tokens: mx.array) -> list[Any]:
    caches = kv.merge([kv.new_caches(model) for _ in tokens])
    with only_caches(len(caches)):
        model(tokens, cache=caches)
    kv.evaluate(caches)
    return caches


def test_a_piece_fills_the_caches_as_the_whole_pass_does(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(DEMO, LoadOptions(), MemoryMachine()).model
    tokens = mx.random.randint(5, 700, (3, 250))
    quick = filled(model, tokens)
    without(monkeypatch)
    for one, other in zip(quick, filled(model, tokens), strict=True):
        assert mx.allclose(one.keys, other.keys, atol=1e-3)
        assert mx.allclose(one.values, other.values, atol=1e-3)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_of_a_piece_nothing_is_computed_behind_the_last_layers_keys(
    layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp, asked = np.exp, 0

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        return exp(*args, **options)

    monkeypatch.setattr(np, "exp", counted)
    x = mx.random.normal((1, 4, 80, 16))
    course = []
    with only_caches(layers):
        for _ in range(4):
            x = mx.fast.scaled_dot_product_attention(x, x, x, scale=0.25)
            x = mx.sigmoid(mx.concatenate([x] * 4))[:1]
            course.append(asked)
    assert course == [2 * min(layer, layers - 1) for layer in range(1, 5)]


def test_outside_of_a_piece_everything_is_as_before() -> None:
    with pytest.raises(ValueError, match="broken"), only_caches(1):
        raise ValueError("broken")
    q = mx.random.normal((1, 4, 80, 16))
    found = mx.fast.scaled_dot_product_attention(q, q, q, scale=0.25)
    assert not mx.array_equal(found, own(mx.fast.scaled_dot_product_attention)(q, q, q, scale=0.25))
