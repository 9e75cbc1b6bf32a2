"""The contract of `EngineLoader` and `Engine`: what every engine promises, whatever computes its answers.

`EngineContract` is all of it; each file holds one group of promises. `fixtures.py` says what a subclass supplies.
"""

from mlxk2.testing.contracts.engine.answering import Answering
from mlxk2.testing.contracts.engine.cancelling import Cancelling
from mlxk2.testing.contracts.engine.closing import Closing
from mlxk2.testing.contracts.engine.crowd import Crowds
from mlxk2.testing.contracts.engine.describing import Describing
from mlxk2.testing.contracts.engine.listening import Listener, collect, text_of
from mlxk2.testing.contracts.engine.prefixes import Prefixes
from mlxk2.testing.contracts.engine.probabilities import Probabilities
from mlxk2.testing.contracts.engine.refusing import Refusing
from mlxk2.testing.contracts.engine.sampling import Samples
from mlxk2.testing.contracts.engine.structures import Structures
from mlxk2.testing.contracts.engine.together import Together
from mlxk2.testing.contracts.engine.watching import Watching

__all__ = ["EngineContract", "Listener", "collect", "text_of"]


class EngineContract(
    Describing,
    Answering,
    Together,
    Crowds,
    Samples,
    Probabilities,
    Structures,
    Prefixes,
    Cancelling,
    Refusing,
    Watching,
    Closing,
):
    """Everything that an engine promises; subclasses supply the fixtures that `fixtures.py` names."""
