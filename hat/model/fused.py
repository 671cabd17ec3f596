"""Element-wise operations that a GPU executes as one kernel.

Between its matrix products a Transformer does little arithmetic on much memory: dropout, sums, norms. Executed one by
one they take as long on a modern GPU as the products do. :func:`fused` compiles such a chain into one kernel forward
and one backward. Widths and rows stay symbolic, so that the same kernels serve all Architectures of a space.
"""

import functools
import os
import shutil
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from hat.model.dropout import dropout

RECOMPILE_LIMIT = 64
P = ParamSpec("P")
R = TypeVar("R")


@functools.cache
def compiles() -> bool:
    """Whether this machine compiles for its GPU: it has Triton, and the C compiler that Triton calls."""
    from torch.utils._triton import has_triton

    return bool(has_triton()) and any(map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang")))


def fused(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of tensors for training on a GPU.

    On a CPU, and without gradients, it runs as it is written: a decoding step is too small to gain anything.
    """
    compiled: Callable[P, R] | None = None

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal compiled
        first = args[0]
        assert isinstance(first, Tensor)
        if not first.is_cuda or not torch.is_grad_enabled() or not compiles():
            return function(*args, **kwargs)
        if compiled is None:
            # One for each precision and rate of dropout that a space has.
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT)
            compiled = torch.compile(function, dynamic=True)
        return compiled(*args, **kwargs)

    return call


@fused
def dropout_add(inner: Tensor, x: Tensor, rate: float, training: bool) -> Tensor:
    """Return x + dropout(inner), all [R, D]."""
    return x + dropout(inner, rate, training)


@fused
def norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    """Normalise rows [R, D] with the leading D features of a norm.

    On a GPU under autocast the result has the precision of matrix products.
    """
    dim = x.size(-1)
    return _products_precision(F.layer_norm(x, (dim,), weight[:dim], bias[:dim], epsilon))


@fused
def dropout_add_norm(
    inner: Tensor, x: Tensor, rate: float, training: bool, weight: Tensor, bias: Tensor, epsilon: float
) -> Tensor:
    """Normalise the rows of x + dropout(inner), all [R, D], with the precision of :func:`norm`."""
    x, dim = x + dropout(inner, rate, training), x.size(-1)
    return _products_precision(F.layer_norm(x, (dim,), weight[:dim], bias[:dim], epsilon))


@fused
def relu_dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Return dropout(max(x, 0)), [R, D]."""
    return dropout(F.relu(x), rate, training)


@fused
def scale_add_dropout(x: Tensor, positions: Tensor, scale: float, rate: float, training: bool) -> Tensor:
    """Return dropout(scale x + positions), [B, S, D]."""
    return dropout(x * scale + positions, rate, training)


def _products_precision(x: Tensor) -> Tensor:
    """Round to autocast's precision of matrix products, which saves each product a pass; a CPU gains nothing by it."""
    if x.is_cuda and torch.is_autocast_enabled("cuda"):
        return x.to(torch.get_autocast_dtype("cuda"))
    return x
