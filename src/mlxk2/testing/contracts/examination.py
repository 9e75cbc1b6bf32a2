"""The contracts of `Setup` and `HubAccess`: what `doctor` is told holds together."""

import pytest

from mlxk2.ports.errors import NetworkProblem
from mlxk2.ports.examination import HubAccess, Setup

_PATIENCE = 60.0


class SetupContract:
    """Subclasses supply `setup`, of an installation that works."""

    @pytest.fixture
    def setup(self, request: pytest.FixtureRequest) -> Setup:
        raise NotImplementedError(request)

    def test_the_python_that_runs_this_suits(self, setup: Setup) -> None:
        python = setup.interpreter()
        assert python.suits
        assert python.version
        assert python.wanted

    def test_every_package_has_a_name_once_and_one_that_suits_is_installed(self, setup: Setup) -> None:
        packages = setup.packages()
        names = [package.name for package in packages]
        assert {"mlx", "mlx-lm"} <= set(names)
        assert len(names) == len(set(names))
        assert [package for package in packages if package.suits and package.installed is None] == []

    def test_a_cpu_has_a_blas_and_nothing_else_needs_one(self, setup: Setup) -> None:
        device = setup.device()
        assert device.version
        assert (device.kind == "CPU") or not (device.blas or device.slow_blas)

    def test_a_device_stays_the_same(self, setup: Setup) -> None:
        assert setup.device() == setup.device()

    def test_a_folder_of_this_user_can_be_written_to(
        self, setup: Setup, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        assert setup.can_write(str(tmp_path_factory.mktemp("own")))


class HubAccessContract:
    """Subclasses supply `access`, to a Hub that answers, without a token; `trusted` and `distrusted` with one that the
    Hub accepts or refuses; and `offline`.
    """

    @pytest.fixture
    def access(self, request: pytest.FixtureRequest) -> HubAccess:
        raise NotImplementedError(request)

    @pytest.fixture
    def trusted(self, request: pytest.FixtureRequest) -> HubAccess:
        raise NotImplementedError(request)

    @pytest.fixture
    def distrusted(self, request: pytest.FixtureRequest) -> HubAccess:
        raise NotImplementedError(request)

    @pytest.fixture
    def offline(self, request: pytest.FixtureRequest) -> HubAccess:
        raise NotImplementedError(request)

    def test_a_hub_answers_who_has_no_token(self, access: HubAccess) -> None:
        assert not access.is_offline()
        assert not access.has_token()
        reached = access.reach(_PATIENCE)
        assert (reached.status, reached.token) == (200, None)
        assert reached.address

    def test_it_accepts_a_token_that_it_knows(self, trusted: HubAccess) -> None:
        assert trusted.has_token()
        assert trusted.reach(_PATIENCE).token == "accepted"  # noqa: S105 - a word

    def test_it_refuses_one_that_it_does_not_know(self, distrusted: HubAccess) -> None:
        assert distrusted.has_token()
        reached = distrusted.reach(_PATIENCE)
        assert (reached.status, reached.token) == (401, "refused")

    def test_offline_nobody_is_asked(self, offline: HubAccess) -> None:
        assert offline.is_offline()
        with pytest.raises(NetworkProblem):
            offline.reach(_PATIENCE)
