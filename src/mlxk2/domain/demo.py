"""The demo model of this package, as the revision that was asked for."""

from mlxk2.domain.names import MAIN, HubReference
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.sources import ModelSource, SourceModel


def fetch_demo(bundled: ModelSource, reference: HubReference) -> SourceModel:
    """Raises ValidationError when another revision is asked for than this version has."""
    model = bundled.fetch()
    if reference.pinned and reference.revision != MAIN and not model.commit.startswith(reference.revision.lower()):
        raise ValidationError(
            f"The demo model of this version has revision {model.commit[:12]}, not {reference.revision}"
        )
    return model
