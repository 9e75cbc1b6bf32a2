"""mlx-lm's architectures, found without importing it, beside what mlx-lm itself says."""

from pathlib import Path

import mlx_lm
import mlx_lm.utils
import pytest

from mlxk2.adapters.mlx.catalogue import MlxLmCatalogue


def mlx_lm_says(model_type: str, architectures: list[str]) -> bool:
    try:
        mlx_lm.utils._get_classes({"model_type": model_type, "architectures": architectures})
    except (ValueError, AttributeError, SystemExit):
        return False
    return True


def every_module() -> list[str]:
    models = Path(mlx_lm.__file__).parent / "models"
    return sorted(path.stem for path in models.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("model_type", [*every_module(), *mlx_lm.utils.MODEL_REMAPPING, "no_such_model", "bert"])
def test_the_verdict_is_that_of_mlx_lm(model_type: str) -> None:
    assert MlxLmCatalogue().supports(model_type, ()) == mlx_lm_says(model_type, [])


@pytest.mark.parametrize("key", list(mlx_lm.utils.MODEL_ARCHITECTURE_REMAPPING))
def test_remapping_by_architecture_is_followed(key: tuple[str, str]) -> None:
    assert MlxLmCatalogue().supports(key[0], (key[1],)) == mlx_lm_says(key[0], [key[1]])


def test_the_version_is_that_of_mlx_lm() -> None:
    assert MlxLmCatalogue().version() == mlx_lm.__version__


def package(folder: Path, utils: str) -> MlxLmCatalogue:
    (folder / "models").mkdir()
    (folder / "utils.py").write_text(utils)
    (folder / "_version.py").write_text('__version__ = "9.9"\n')
    (folder / "models" / "llama.py").write_text("class Model:\n    pass\n")
    (folder / "models" / "special.py").write_text("class Model:\n    pass\n")
    return MlxLmCatalogue(str(folder))


def test_a_remapping_table_is_read_from_source(tmp_path: Path) -> None:
    utils = 'MODEL_REMAPPING = {\n    "mistral": "llama",  # a comment\n    "lost": "nowhere",\n}\n'
    utils += 'MODEL_ARCHITECTURE_REMAPPING = {\n    ("mistral", "Special"): "special",\n'
    utils += '    ("llama", "Odd"): "nowhere",\n}\n'
    catalogue = package(tmp_path, utils)
    assert catalogue.version() == "9.9"
    assert catalogue.supports("mistral", ())
    assert catalogue.supports("mistral", ("Special",))
    assert not catalogue.supports("lost", ())
    assert not catalogue.supports("llama", ("Odd",))


@pytest.mark.parametrize(
    "utils", ["", "MODEL_REMAPPING = dict(mistral='llama')\n", "MODEL_REMAPPING = {\n    1: f(),\n}\n"]
)
def test_a_table_of_another_shape_is_no_table(tmp_path: Path, utils: str) -> None:
    catalogue = package(tmp_path, utils)
    assert catalogue.supports("llama", ())
    assert not catalogue.supports("mistral", ())


def test_a_package_without_files_has_no_version(tmp_path: Path) -> None:
    catalogue = MlxLmCatalogue(str(tmp_path))
    assert catalogue.version() is None
    assert not catalogue.supports("llama", ())
