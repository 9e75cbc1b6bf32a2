"""The `Engine` port in a child process (docs/ADR/0010): `engine` is the parent's side, `serving` the child's.

Neither side imports the other; what both know of each other is in `wire`, `protocol` and `failures`.
"""
