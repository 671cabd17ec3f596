"""Linear maps with the leading rows and columns of a weight."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, rows: int | None = None, columns: int | None = None
) -> Tensor:
    """Map features.

    Args:
        x: [..., in].
        weight: weight of the widest map, [rows or more, columns or more].
        bias: bias of the widest map; None for no bias.
        rows: output features; all if omitted.
        columns: input features; all if omitted.

    Returns:
        [..., rows].
    """
    if bias is not None and x.is_cuda and torch.is_grad_enabled() and torch.is_autocast_enabled("cuda"):
        mapped = _MixedPrecision.apply(x, weight, bias, rows, columns, torch.get_autocast_dtype("cuda"))  # type: ignore[no-untyped-call]
        assert isinstance(mapped, Tensor)
        return mapped
    return F.linear(x, weight[:rows, :columns], None if bias is None else bias[:rows])


class _MixedPrecision(torch.autograd.Function):
    """A linear map under autocast on a GPU, with a third of the launches.

    Slicing and rounding a weight are operations of their own for autograd, each with one or more in the backward pass,
    and a modern GPU executes them faster than a CPU can launch them. Here the gradient of a slice is written where it
    belongs, in fp32 as it was summed.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        rows: int | None,
        columns: int | None,
        dtype: torch.dtype,
    ) -> Tensor:
        rounded, low = x.to(dtype), weight[:rows, :columns].to(dtype)
        ctx.save_for_backward(rounded, low)
        ctx.shapes = weight.shape, x.dtype  # type: ignore[attr-defined]
        return F.linear(rounded, low, bias[:rows].to(dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        shape, dtype = ctx.shapes
        rows, columns = weight.shape
        whole = weight.shape == shape
        fresh = torch.empty if whole else torch.zeros
        weight_grad = fresh(shape, dtype=torch.float32, device=x.device)
        bias_grad = fresh(shape[:1], dtype=torch.float32, device=x.device)
        flat = gradient.flatten(0, -2)
        torch.mm(flat.t(), x.flatten(0, -2), out_dtype=torch.float32, out=weight_grad[:rows, :columns])
        torch.sum(flat, 0, dtype=torch.float32, out=bias_grad[:rows])
        return (gradient @ weight).to(dtype), weight_grad, bias_grad, None, None, None
