"""Label-smoothed cross-entropy straight from hidden states, without the logits of the whole batch."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from hat.data.text.special_tokens import PAD

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
    """The gradients are made in the forward pass, piece by piece, and only scaled in the backward pass.

    With respect to the logits the gradient of a token's loss is p - a, where p are the probabilities and a what they
    aim at: a part on the label, a part on all tokens alike (smoothing), and the teacher's. The first two have
    products with weights and states that are a row and a mean, so no pass over the logits is spent on them.
    """

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
        share = 0.0 if teacher is None else teacher.share
        on_label, on_all = (1 - share) * (1 - smoothing), (1 - share) * smoothing
        counted = target != ignore
        rows, matrix = hidden.to(dtype), weight.to(dtype).contiguous()
        # A product with a transposed bf16 view takes twice as long on a CPU.
        transposed = matrix.t().contiguous()
        real = rows * counted[:, None]
        mean_weight = weight.mean(0)
        mean_logits = hidden.float() @ mean_weight
        taught = None if teacher is None else (teacher.hidden.to(dtype), teacher.weight.to(dtype).t().contiguous())
        needed = hidden.requires_grad or weight.requires_grad
        hidden_grad = torch.empty_like(rows if needed else rows[:0])
        weight_grad = torch.zeros_like(weight if needed else weight[:0])
        losses, nlls = torch.empty_like(mean_logits), torch.empty_like(mean_logits)
        for start in range(0, rows.size(0), CHUNK):
            here = slice(start, start + CHUNK)
            logits = rows[here] @ transposed
            # Without gradients the probabilities serve the loss alone, which is then exact.
            probabilities = (logits if needed else logits.float()).softmax(1)
            right = logits.gather(1, target[here, None])[:, 0].float()
            # Of any token, as long as its probability is no zero; the likeliest's never is.
            likely = probabilities.gather(1, target[here, None])[:, 0]
            log_total = right - likely.float().log()
            if not bool(likely.all()):
                log_total = logits.amax(1).float() - probabilities.amax(1).float().log()
            nlls[here] = log_total - right
            losses[here] = log_total - on_label * right - on_all * mean_logits[here]
            if taught is not None:
                aim = (taught[0][here] @ taught[1]).softmax(1)
                losses[here] -= share * (aim.float() * logits).sum(1)
                probabilities -= share * aim
            if needed:
                torch.mm(probabilities, matrix, out=hidden_grad[here])
                weight_grad += probabilities.t() @ real[here]
        if needed:
            hidden_grad -= on_label * matrix[target] + (on_all * mean_weight).to(dtype)
            hidden_grad *= counted[:, None]
            weight_grad.index_add_(0, target, real.to(weight.dtype), alpha=-on_label)
            weight_grad -= on_all / weight.size(0) * real.sum(0, dtype=weight.dtype)
            ctx.save_for_backward(hidden_grad, weight_grad)
        loss, nll = ((each * counted).sum(dtype=torch.float64).float() for each in (losses, nlls))
        ctx.mark_non_differentiable(nll)
        return loss, nll

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
