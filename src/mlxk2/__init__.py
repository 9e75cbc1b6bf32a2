"""mlxk2: find, check and run MLX language models in the Hugging Face cache."""

__version__ = "2.0.0b1"
