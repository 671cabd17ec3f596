"""Label-smoothed cross-entropy straight from hidden states, without the logits of the whole batch."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from hat.special_tokens import PAD

# Rows whose logits are held at once.
CHUNK = 512


class Teacher(NamedTuple):
    """Hidden states [N, D'] and output projection [V, D'] of a network to learn from, without gradients.

    ``share`` is its part of the loss; the rest is that of the labels.
    """

    hidden: Tensor
    weight: Tensor
    share: float = 1.0


class _ProjectedLoss(torch.autograd.Function):
    """The gradients are made in the forward pass, piece by piece, and only scaled in the backward pass."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        teacher: Teacher | None,
        smoothing: float,
        ignore: int,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        needed = hidden.requires_grad or weight.requires_grad
        rows, matrix = hidden.to(dtype), weight.to(dtype).contiguous()
        share = 1.0 if teacher is None else teacher.share
        taught = (teacher.hidden.to(dtype), teacher.weight.to(dtype).contiguous()) if teacher is not None else None
        real = (target != ignore).float()[:, None]
        hidden_grad = torch.empty_like(rows) if needed else None
        weight_grad = torch.zeros_like(weight) if needed else None
        loss = nll = torch.zeros((), dtype=torch.float64, device=hidden.device)
        for start in range(0, rows.size(0), CHUNK):
            here = slice(start, start + CHUNK)
            piece, wanted, counted = rows[here], target[here, None], real[here]
            logits = (piece @ matrix.t()).float()
            logits -= logits.amax(1, keepdim=True)
            right = logits.gather(1, wanted)
            if taught is None:
                aim = None
                expected = (1 - smoothing) * right + smoothing * logits.mean(1, keepdim=True)
            else:
                aim = (taught[0][here] @ taught[1].t()).float().softmax(1)
                if share < 1:
                    aim.mul_(share).add_((1 - share) * smoothing / weight.size(0))
                    aim.scatter_add_(1, wanted, torch.full_like(right, (1 - share) * (1 - smoothing)))
                expected = (aim * logits).sum(1, keepdim=True)
            exponentials = logits.exp_()
            total = exponentials.sum(1, keepdim=True)
            log_total = total.log()
            nll = nll + ((log_total - right) * counted).sum(dtype=torch.float64)
            loss = loss + ((log_total - expected) * counted).sum(dtype=torch.float64)
            if hidden_grad is None or weight_grad is None:
                continue
            grad = exponentials.div_(total)
            if aim is None:
                grad.sub_(smoothing / weight.size(0)).scatter_add_(1, wanted, torch.full_like(right, smoothing - 1))
            else:
                grad.sub_(aim)
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
        return hidden_grad.float() * loss_grad, weight_grad * loss_grad, None, None, None, None, None


def projected_loss(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    smoothing: float,
    teacher: Teacher | None = None,
    ignore: int = PAD,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Label-smoothed cross-entropy and negative log-likelihood of ``hidden @ weight.T``.

    With smoothing e the loss of a token is (1 - e) x nll + e x mean over the vocabulary of -log p, as
    fairseq's ``label_smoothed_cross_entropy``; with a teacher its share of it is the cross-entropy to the teacher's
    distribution instead (word-level distillation, Kim and Rush, 2016, arXiv 1606.07947).

    Args:
        hidden: states before the output projection, [N, D].
        weight: output projection, [V, D].
        target: token numbers in [0, V), [N].
        smoothing: label smoothing, in [0, 1).
        teacher: whose distributions are learned instead of the labels.
        ignore: target that does not count.
        dtype: precision of the matrix products; sums are fp32.

    Returns:
        Loss and nll, summed over tokens, in nats. The nll has no gradient, nor has the teacher.
    """
    loss, nll = _ProjectedLoss.apply(  # type: ignore[no-untyped-call]
        hidden, weight, target, teacher, smoothing, ignore, dtype
    )
    return loss, nll


@torch.inference_mode()
def token_nll(hidden: Tensor, weight: Tensor, target: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Negative log-likelihood of each token, in nats, 0 for padding.

    Args:
        hidden: states before the output projection, [N, D].
        weight: output projection, [V, D].
        target: token numbers in [0, V), [N].
        dtype: precision of the matrix products; what follows is fp32.

    Returns:
        [N]
    """
    matrix = weight.to(dtype)
    return torch.cat(
        [
            torch.nn.functional.cross_entropy(
                (rows.to(dtype) @ matrix.t()).float(), wanted, ignore_index=PAD, reduction="none"
            )
            for rows, wanted in zip(torch.split(hidden, CHUNK), torch.split(target, CHUNK), strict=True)
        ]
    )
