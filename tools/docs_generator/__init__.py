"""The generators behind tools/generate_docs.py: text in memory, made from the code alone."""
