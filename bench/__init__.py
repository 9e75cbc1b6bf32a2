"""Side-by-side benchmarks: whole processes, peers in the same run, ratios rather than absolute times."""
