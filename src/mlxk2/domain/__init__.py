"""Rules and use cases: pure functions and plain objects on top of the ports. No I/O, no frameworks."""
