"""`mlxk2 run` without a prompt: a conversation on a terminal."""
