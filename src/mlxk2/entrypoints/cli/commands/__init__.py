"""One file a command: typed arguments in, a use case called, its answer shown as text or as a record."""
