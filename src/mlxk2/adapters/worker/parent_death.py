"""A worker ends with its parent, even when that is killed and even while native code keeps Python from noticing.

Everywhere, the socket's end of file tells the thread that reads it. On Linux the kernel does it too: it kills the
worker when the *thread* that started it ends, which is why the parent starts workers in a thread that outlives them.
"""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """To be called before the handshake: a parent that answers it was alive afterwards. Does nothing but on Linux."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
