"""How everything is made: one plain function for each thing that the container names, by what it is for.

What they need is handed in, and what they make is imported within, so that a command loads only what it uses.
"""
