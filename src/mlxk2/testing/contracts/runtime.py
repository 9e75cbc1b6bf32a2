"""The contract of `RuntimeCatalogue`: some architectures are known, nonsense is not."""

import pytest

from mlxk2.ports.engine import RuntimeCatalogue


class RuntimeContract:
    """Subclasses supply `catalogue`, which knows `llama` and `qwen3`."""

    @pytest.fixture
    def catalogue(self, request: pytest.FixtureRequest) -> RuntimeCatalogue:
        raise NotImplementedError(request)

    def test_the_version_is_a_dotted_number(self, catalogue: RuntimeCatalogue) -> None:
        version = catalogue.version()
        assert version is not None
        assert version.split(".")[0].isdigit()

    @pytest.mark.parametrize("model_type", ["llama", "qwen3"])
    def test_common_architectures_are_supported(self, catalogue: RuntimeCatalogue, model_type: str) -> None:
        assert catalogue.supports(model_type, ())

    @pytest.mark.parametrize("model_type", ["", "no_such_thing", "../utils", "base", "cache", "llama.py", "bert"])
    def test_what_is_no_architecture_is_not_supported(self, catalogue: RuntimeCatalogue, model_type: str) -> None:
        assert not catalogue.supports(model_type, ("NoSuchThing",))
