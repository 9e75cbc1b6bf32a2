"""How fast the engine is: many streams, mixed loads, newcomers, second turns, long series; peers in the same run."""
