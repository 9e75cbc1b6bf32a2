"""The wall clock."""

import time


class SystemClock:
    """The `Clock` port."""

    def now(self) -> float:
        return time.time()
