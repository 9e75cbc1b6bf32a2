"""What `mlxk2 serve` can be told, and where from: flags, environment, a file, defaults.

`options.py` is the one list of options; the parser, the file's schema, the documents and the server all read it.
"""
