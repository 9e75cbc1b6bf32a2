"""What `doctor` makes of what it sees: one module for what belongs together, one finding for each thing looked at."""
