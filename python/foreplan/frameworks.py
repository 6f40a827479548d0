"""Functions of PyTorch and JAX where functions of NumPy arrays are expected: rewards, dynamics, costs.

What users write is always called with NumPy arrays of float64, rows first; these wrap a function of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def from_torch(function: Callable[..., Any], *, dtype: Any = None, device: Any = None) -> Callable[..., Any]:
    """`function` of tensors as one of arrays: arguments share the arrays' memory where `dtype` (None: float64) and
    `device` (None: the CPU) do not ask for another; results, also tuples of them, come back as arrays. No gradients are
    recorded. Whole numbers stay whole. Raises ImportError without PyTorch."""
    import torch

    def tensor(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        shared = torch.from_numpy(np.ascontiguousarray(value))
        return shared.to(device=device, dtype=dtype if shared.is_floating_point() else None)

    def array(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return tuple(array(entry) for entry in value)
        return value.detach().cpu().double().numpy() if isinstance(value, torch.Tensor) else value

    def of_arrays(*arguments: Any) -> Any:
        with torch.no_grad():
            return array(function(*(tensor(argument) for argument in arguments)))

    return of_arrays


def from_jax(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of JAX arrays, compiled by the user where that pays (``from_jax(jax.jit(f))``), as one of NumPy's. JAX
    computes in float32 unless ``jax.config.update("jax_enable_x64", True)`` says otherwise. Raises ImportError without
    JAX."""
    import jax
    import jax.numpy as jnp

    def array(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return tuple(array(entry) for entry in value)
        return np.asarray(value, dtype=np.float64) if isinstance(value, jax.Array) else value

    def of_arrays(*arguments: Any) -> Any:
        return array(function(*(jnp.asarray(argument) if isinstance(argument, np.ndarray) else argument
                                for argument in arguments)))

    return of_arrays
