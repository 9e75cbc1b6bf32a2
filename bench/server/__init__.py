"""What the server costs beside its engine, and how it fares for a long time; peers in the same run."""
