"""The program's outside: each sub-package implements the port of its name and knows no other adapter."""
