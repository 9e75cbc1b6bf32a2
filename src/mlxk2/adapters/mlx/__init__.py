"""The MLX runtime: the only adapter that imports mlx and mlx_lm, and only once a model is to be loaded."""
