"""Matrix products for OpenBLAS: neither tiles nor padded rows change a result, small models have one thread."""

import ctypes.util
import subprocess
import sys
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.nn.layers.base import Module
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear
from mlx.utils import tree_flatten
from mlx_lm.models import llama
from numpy.typing import NDArray

from mlxk2.adapters.mlx.products import Padding, SuitedEmbedding, SuitedLinear, suit_openblas
from mlxk2.adapters.mlx.tiles import Tiles

needs_openblas = pytest.mark.skipif(
    not sys.platform.startswith("linux") or ctypes.util.find_library("openblas") is None, reason="there is no OpenBLAS"
)
_SIDE = 512
ROWS = [(1,), (3,), (4,), (8, 1), (12, 1), (2, 7), (17,), (28, 1), (31, 1), (48,), (5, 60)]


class Blas:
    """What is asked of it."""

    def __init__(self, threads: int, kernels: str) -> None:
        self.threads = self.used = threads
        self.kernels = kernels

    def use(self, threads: int) -> int:
        self.used = threads
        return threads

    def transpose(self, matrix: NDArray[np.float32], into: NDArray[np.float32]) -> None:
        into[:] = matrix.T


class Model(Module):
    """The layers that there are: large and small ones, quantized, half precision, an embedding."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.large = Linear(_SIDE, _SIDE, bias=False)
        self.biased = Linear(_SIDE, _SIDE)
        self.small = Linear(64, 64)
        self.quantized = Linear(_SIDE, _SIDE).to_quantized()
        self.half = Linear(_SIDE, _SIDE)
        self.half.set_dtype(mx.float16)
        self.embedding = Embedding(_SIDE, _SIDE)
        self.small_embedding = Embedding(64, 64)


def suited(model: Any, threads: int = 2, kernels: str = "Haswell") -> Blas:
    blas = Blas(threads, kernels)
    suit_openblas(model, blas)  # type: ignore[arg-type]
    return blas


def names(model: Any) -> list[str]:
    weights: Any = tree_flatten(model.parameters())
    return [name for name, _ in weights]


@pytest.mark.parametrize(("rows", "padded"), [(4, 16), (8, 16), (15, 16), (20, 32), (31, 32), (36, 48)])
def test_a_few_rows_become_a_multiple_of_the_block_where_that_is_quicker(rows: int, padded: int) -> None:
    assert Padding(16, 4).rows(rows) == padded


@pytest.mark.parametrize("rows", [1, 3, 16, 17, 19, 48, 52, 63, 2000])
def test_others_stay_as_many_as_they_are(rows: int) -> None:
    assert Padding(16, 4).rows(rows) == rows


@pytest.mark.parametrize("kernels", ["Haswell", "SkylakeX"])
@pytest.mark.parametrize("shape", ROWS)
def test_no_way_changes_a_product(shape: tuple[int, ...], kernels: str) -> None:
    model: Any = Model()
    x, narrow = mx.random.normal((*shape, _SIDE)), mx.random.normal((*shape, 64))

    def products() -> list[mx.array]:
        large = [model.large(x), model.biased(x), model.embedding.as_linear(x)]
        return [*large, model.small(narrow), model.small_embedding.as_linear(narrow)]

    plain = products()
    suited(model, kernels=kernels)
    for one, other in zip(plain, products(), strict=True):
        assert one.shape == other.shape
        assert mx.allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 7), (8, 1), (12, 1), (16, 1), (2, 40)])
def test_a_model_of_mlx_lm_says_the_same_in_all_ways(rows: int, length: int) -> None:
    """Its head has so many weights that a second stream computes a half of it."""
    args = {"model_type": "llama", "hidden_size": 640, "num_hidden_layers": 2, "intermediate_size": 1024}
    more = {"num_attention_heads": 4, "rms_norm_eps": 1e-5, "vocab_size": 2048, "tie_word_embeddings": True}
    model: Any = llama.Model(llama.ModelArgs.from_dict({**args, **more}))
    tokens = mx.random.randint(0, 2048, (rows, length))
    plain = model(tokens)
    for kernels in ("Haswell", "SkylakeX"):
        suited(model, kernels=kernels)
        assert mx.allclose(model(tokens), plain, rtol=1e-3, atol=1e-3)
        for layer in model.modules():
            plain_class: dict[type, type] = {SuitedLinear: Linear, SuitedEmbedding: Embedding}
            layer.__class__ = plain_class.get(type(layer), type(layer))


def test_layers_of_float32_are_suited_and_no_others() -> None:
    model: Any = Model()
    parameters = names(model)
    before = {name: type(layer) for name, layer in model.named_modules()}
    assert suited(model).used == 2
    changed = {name: type(layer) for name, layer in model.named_modules() if type(layer) is not before[name]}
    linear = dict.fromkeys(("large", "biased", "small"), SuitedLinear)
    assert changed == {**linear, "embedding": SuitedEmbedding, "small_embedding": SuitedEmbedding}
    assert model.large.ways.padding == model.embedding.ways.padding == Padding(16, 4)
    assert model.small.ways.padding is model.small_embedding.ways.padding is None
    assert names(model) == parameters


def address(array: mx.array) -> int:
    return np.array(array, copy=False).ctypes.data


def test_weights_without_tiles_lie_by_columns_and_are_there_once() -> None:
    model: Any = Model()
    before = np.array(model.large.weight), np.array(model.small.weight)
    suited(model, kernels="Haswell")
    for layer, weights in zip((model.large, model.small), before, strict=True):
        assert np.array_equal(np.array(layer.weight), weights)
        assert np.array(layer.weight, copy=False).flags.f_contiguous
        assert address(layer.weight) == address(layer.ways.columns)


def test_an_embedding_is_looked_up_by_rows_and_has_a_copy_for_its_head_if_it_is_small() -> None:
    model: Any = Model()
    embeddings = (model.embedding, model.small_embedding)
    before = [(np.array(one.weight), address(one.weight)) for one in embeddings]
    suited(model, kernels="Haswell")
    for embedding, (weights, place) in zip(embeddings, before, strict=True):
        assert address(embedding.weight) == place
        assert np.array_equal(np.array(embedding(mx.array([7, 3]))), weights[[7, 3]])
    assert model.embedding.ways.columns is None
    assert np.array_equal(np.array(model.small_embedding.ways.columns), before[1][0].T)


@pytest.mark.parametrize("kernels", ["Haswell", "SkylakeX"])
def test_a_layer_that_gets_other_weights_is_multiplied_with_these(kernels: str) -> None:
    """gemma3n clips some of its weights at every pass."""
    model: Any = Model()
    x, narrow = mx.random.normal((3, _SIDE)), mx.random.normal((3, 64))
    suited(model, kernels=kernels)
    for layer in (model.large, model.biased, model.small, model.embedding, model.small_embedding):
        layer.weight = mx.clip(layer.weight, -0.01, 0.01)
        given = x if layer.weight.shape[-1] == _SIDE else narrow
        is_embedding = isinstance(layer, Embedding)
        product = layer.as_linear(given) if is_embedding else layer(given)
        bias = layer.bias if "bias" in layer else 0
        assert mx.allclose(product, given @ layer.weight.T + bias, rtol=1e-4, atol=1e-4)


def test_weights_are_replaced_one_by_one() -> None:
    """A model that fits into memory once must not be there twice while it is prepared."""
    model: Any = Module()  # type: ignore[no-untyped-call]
    model.layers = [Linear(_SIDE, _SIDE, bias=False) for _ in range(12)]
    mx.eval(model.parameters())
    before, seen = mx.get_active_memory(), []

    class Watching(Blas):
        def transpose(self, matrix: NDArray[np.float32], into: NDArray[np.float32]) -> None:
            super().transpose(matrix, into)
            seen.append(mx.get_active_memory() - before)

    suit_openblas(model, Watching(2, "Haswell"))  # type: ignore[arg-type]
    assert len(seen) == 12
    assert max(seen) <= 3 * 4 * _SIDE**2


def test_weights_that_mlx_lm_has_turned_are_taken_as_they_lie() -> None:
    model: Any = Model()
    model.large.weight = mx.random.normal((_SIDE, _SIDE)).T
    mx.eval(model.large.weight)
    place, weights = address(model.large.weight), np.array(model.large.weight)
    suited(model, kernels="Haswell")
    assert address(model.large.weight) == place
    assert np.array_equal(np.array(model.large.ways.columns), weights.T)


@pytest.mark.parametrize(
    ("kernels", "threads", "padding"), [("Zen", 4, Padding(32, 8)), ("Cooperlake", 2, Padding(16, 9))]
)
def test_how_many_are_added_depends_on_the_kernels(kernels: str, threads: int, padding: Padding) -> None:
    model: Any = Model()
    suited(model, threads, kernels)
    assert model.large.ways.padding == padding


def test_tiles_are_cut_from_rows_where_a_weight_lay_by_columns() -> None:
    """mlx-lm turns the weights of some models, such as GPT-2, while it loads them."""
    model: Any = Model()
    model.large.weight = mx.random.normal((_SIDE, 2 * _SIDE)).T
    mx.eval(model.large.weight)
    turned, rows = np.array(model.large.weight), mx.random.normal((3, _SIDE))
    assert memoryview(model.large.weight).strides == (4, 8 * _SIDE)
    suited(model, kernels="SkylakeX")
    assert memoryview(model.large.weight).strides == (4 * _SIDE, 4)
    assert np.array_equal(np.array(model.large.weight), turned)
    assert mx.allclose(model.large(rows), rows @ mx.array(turned).T, rtol=1e-4, atol=1e-4)


def test_weights_that_lie_by_rows_stay_where_they_are() -> None:
    model: Any = Model()
    mx.eval(model.parameters())
    before = np.array(model.large.weight, copy=False).ctypes.data
    suited(model, kernels="SkylakeX")
    assert np.array(model.large.weight, copy=False).ctypes.data == before


@pytest.mark.parametrize(("kernels", "threads"), [("SkylakeX", 1), ("Cooperlake", 2), ("SapphireRapids", 2)])
def test_kernels_that_know_small_products_get_tiles(kernels: str, threads: int) -> None:
    model: Any = Model()
    parameters = names(model)
    suited(model, threads, kernels)
    assert isinstance(model.large.ways.tiles, Tiles)
    assert names(model) == parameters


@pytest.mark.parametrize(("kernels", "threads"), [("Haswell", 2), ("SkylakeX", 4)])
def test_others_get_none_nor_do_threads_that_were_not_measured(kernels: str, threads: int) -> None:
    model: Any = Model()
    suited(model, threads, kernels)
    assert model.large.ways.tiles is None


@pytest.mark.parametrize(("threads", "kernels"), [(8, "Haswell"), (8, "SkylakeX")])
def test_large_layers_are_left_alone_for_more_threads_than_were_measured(threads: int, kernels: str) -> None:
    model: Any = Model()
    assert suited(model, threads, kernels).used == threads
    assert not isinstance(model.large, SuitedLinear)
    assert isinstance(model.small, SuitedLinear)


def test_nothing_is_changed_for_kernels_that_were_not_measured() -> None:
    model: Any = Model()
    assert suited(model, 2, "neoversen1").used == 2
    assert not any(isinstance(layer, SuitedLinear | SuitedEmbedding) for layer in model.modules())


def test_a_model_of_small_matrices_gets_one_thread() -> None:
    assert suited(Linear(64, 64), 4).used == 1


def threads_after_loading_the_demo(**environ: str) -> list[int]:
    """What OpenBLAS says in a process of its own: before, with the model, and when more are asked for again."""
    code = (
        "import ctypes\n"
        "from importlib.resources import files\n"
        "from mlxk2.adapters.mlx.blas import openblas, prefer_openblas\n"
        "from mlxk2.adapters.mlx.loading import load_model\n"
        "from mlxk2.adapters.system import SystemMachine\n"
        "from mlxk2.ports.engine import LoadOptions\n"
        "assert prefer_openblas()\n"
        "blas = openblas()\n"
        "now = ctypes.CDLL('libopenblas.so.0').openblas_get_num_threads\n"
        "seen = [now()]\n"
        "load_model(str(files('mlxk2') / 'assets' / 'demo'), LoadOptions(), SystemMachine())\n"
        "seen.append(now())\n"
        "blas.use(blas.threads)\n"
        "print(*seen, now())\n"
    )
    environ = {"PATH": "/usr/bin:/bin", **environ}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
    return [int(word) for word in run.stdout.split()]


@needs_openblas
def test_openblas_has_one_thread_while_the_demo_is_loaded() -> None:
    own, with_demo, again = threads_after_loading_the_demo()
    assert (with_demo, again) == (1, own)


@needs_openblas
@pytest.mark.parametrize("name", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
def test_the_number_of_threads_that_the_user_has_set_is_kept(name: str) -> None:
    own, with_demo, again = threads_after_loading_the_demo(**{name: "2"})
    assert (with_demo, again) == (own, own)
