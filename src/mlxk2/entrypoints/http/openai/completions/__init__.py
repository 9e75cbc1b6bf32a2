"""`/v1/completions`: plain texts are continued, without a chat template.

`wire` is what comes in, `parse` translates it; `replies` is what goes out, by `writer`.
"""
