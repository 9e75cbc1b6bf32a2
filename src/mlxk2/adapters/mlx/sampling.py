"""mlx-lm's samplers and processors for a request's sampling parameters."""

from typing import Any

from mlxk2.ports.generation import Sampling


def make_sampler(sampling: Sampling, vocab_size: int) -> Any:
    """A function from log-probabilities to a token; draws from the seeded generator when a seed is given."""
    import mlx.core as mx
    from mlx_lm.sample_utils import make_sampler as mlx_lm_sampler

    if sampling.seed is not None:
        mx.random.seed(sampling.seed)
    return mlx_lm_sampler(
        temp=sampling.temperature,
        top_p=sampling.top_p if sampling.top_p < 1 else 0.0,
        top_k=sampling.top_k if sampling.top_k < vocab_size else 0,
        min_p=sampling.min_p,
    )


def make_processors(sampling: Sampling) -> Any:
    """Functions that change the logits before sampling; empty when nothing is asked."""
    from mlx_lm.sample_utils import make_logits_processors

    penalty = sampling.repetition_penalty
    return make_logits_processors(repetition_penalty=penalty if penalty != 1 else None)
