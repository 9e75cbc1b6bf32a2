"""Benchmarks of the care of a cache: how long it takes to look at all of it, and to read all of it."""
