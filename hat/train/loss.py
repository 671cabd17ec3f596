"""Label-smoothed cross-entropy straight from hidden states, without the logits of the whole batch."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from hat.data.dictionary import PAD

# Rows whose logits are held at once.
CHUNK = 512


class _ProjectedLoss(torch.autograd.Function):
    """The gradients are made in the forward pass, piece by piece, and only scaled in the backward pass."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        smoothing: float,
        ignore: int,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        needed = hidden.requires_grad or weight.requires_grad
        vocabulary = weight.size(0)
        rows, matrix = hidden.to(dtype), weight.to(dtype).contiguous()
        real = (target != ignore).float()[:, None]
        hidden_grad = torch.empty_like(rows) if needed else None
        weight_grad = torch.zeros_like(weight) if needed else None
        loss = nll = torch.zeros((), dtype=torch.float64)
        for start in range(0, rows.size(0), CHUNK):
            here = slice(start, start + CHUNK)
            piece, wanted, counted = rows[here], target[here, None], real[here]
            logits = (piece @ matrix.t()).float()
            logits -= logits.amax(1, keepdim=True)
            right, mean = logits.gather(1, wanted), logits.mean(1, keepdim=True)
            exponentials = logits.exp_()
            total = exponentials.sum(1, keepdim=True)
            log_total = total.log()
            right, mean = (log_total - right) * counted, (log_total - mean) * counted
            nll = nll + right.sum(dtype=torch.float64)
            loss = loss + ((1 - smoothing) * right + smoothing * mean).sum(dtype=torch.float64)
            if hidden_grad is None or weight_grad is None:
                continue
            grad = exponentials.div_(total).sub_(smoothing / vocabulary)
            grad.scatter_add_(1, wanted, torch.full_like(right, smoothing - 1))
            grad = grad.mul_(counted).to(dtype)
            torch.mm(grad, matrix, out=hidden_grad[here])
            weight_grad += grad.t() @ piece
        if hidden_grad is not None and weight_grad is not None:
            ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.mark_non_differentiable(nll)
        return loss.float(), nll.float()

    @staticmethod
    def backward(ctx: Any, loss_grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad.float() * loss_grad, weight_grad * loss_grad, None, None, None, None


def projected_loss(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    smoothing: float,
    ignore: int = PAD,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Label-smoothed cross-entropy and negative log-likelihood of ``hidden @ weight.T``.

    With smoothing e the loss of a token is (1 - e) x nll + e x mean over the vocabulary of -log p, as
    fairseq's ``label_smoothed_cross_entropy``.

    Args:
        hidden: states before the output projection, [N, D].
        weight: output projection, [V, D].
        target: token numbers in [0, V), [N].
        smoothing: label smoothing, in [0, 1).
        ignore: target that does not count.
        dtype: precision of the matrix products; sums are fp32.

    Returns:
        Loss and nll, summed over tokens, in nats. The nll has no gradient.
    """
    loss, nll = _ProjectedLoss.apply(hidden, weight, target, smoothing, ignore, dtype)  # type: ignore[no-untyped-call]
    return loss, nll
