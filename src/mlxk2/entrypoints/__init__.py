"""The doors into the program."""
