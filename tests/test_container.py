"""The composition root builds everything that it names."""

from pathlib import Path

from dependency_injector import providers

from mlxk2.container import Adapters, App, build_services
from mlxk2.domain.usecases.run_model import RunModel
from mlxk2.settings import Settings


def settings(root: Path) -> Settings:
    return Settings(
        cache_root=str(root),
        hub="http://127.0.0.1:9",
        offline=True,
        runtime_dir=str(root / "runtime"),
        state_dir=str(root / "state"),
        memory_dir=str(root / "memory"),
    )


def test_every_provider_can_be_built(tmp_path: Path) -> None:
    adapters = Adapters(config=settings(tmp_path)._asdict())
    app = App(adapters=adapters)
    built = [
        provider()
        for container in (adapters, app)
        for provider in container.providers.values()
        if isinstance(provider, (providers.Factory, providers.Singleton))
    ]
    assert len(built) == 18 + 23
    assert all(thing is not None for thing in built)


def test_services_make_use_cases_on_one_cache(tmp_path: Path) -> None:
    services = build_services(settings(tmp_path / "hub"))
    assert services.list_models()() == []
    assert isinstance(services.run_model(), RunModel)
    assert services.machine() is services.machine()
