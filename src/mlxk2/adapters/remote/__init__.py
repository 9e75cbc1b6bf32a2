"""The `Attachment` port, and the `Engine` port for a model of a running server, over HTTP (docs/ADR/0015).

HTTP is spoken with nothing but a socket: what the standard library has for it takes longer to import than a question
takes to be asked, and the other side is always a server of ours.
"""
