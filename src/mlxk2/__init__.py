"""mlxk2: find, check, run and serve MLX language models in the Hugging Face cache."""

__version__ = "2.0.0b1"
