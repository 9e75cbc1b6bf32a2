"""What is logged can be looked at here, too."""

from tests.entrypoints.http.doors.conftest import log

__all__ = ["log"]
