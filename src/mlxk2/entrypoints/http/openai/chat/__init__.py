"""`/v1/chat/completions`: `messages` and `wire` are what comes in, `replies` what goes out.

`parse`, `conversation` and `tools` translate the one, `writer` the other.
"""
