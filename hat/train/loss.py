"""Label-smoothed cross-entropy from hidden states, without the logits of the whole batch at once."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from hat.data.text.special_tokens import PAD
from hat.model.fused import fused

# Rows whose logits are held at once: in the cache of a CPU, and enough to keep a GPU busy.
CHUNK = 512
GPU_CHUNK = 8192


class Teacher(NamedTuple):
    """Outputs of a network to learn from, without gradients.

    Attributes:
        hidden: states before the output projection, [N, D'].
        weight: output projection, [V, D'].
        share: weight of the teacher in the loss; the labels have the rest.
    """

    hidden: Tensor
    weight: Tensor
    share: float = 1.0


@dataclass(frozen=True)
class _Parts:
    """Weights of the parts of a token's loss.

    The gradient of the loss with respect to the logits is p - a, with the probabilities p and the distribution to learn
    a: ``on_label`` on the label, ``on_all`` spread over the vocabulary (smoothing), and the teacher's share.
    """

    on_label: float
    on_all: float
    teacher: Teacher | None


@dataclass(frozen=True)
class _Result:
    """Losses and nlls of all tokens, [N], and the gradients of the summed loss without padding."""

    losses: Tensor
    nlls: Tensor
    hidden_grad: Tensor
    weight_grad: Tensor


class _ProjectedLoss(torch.autograd.Function):
    """Computes the gradients in the forward pass, chunk by chunk; the backward pass only scales them."""

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
        parts = _Parts((1 - share) * (1 - smoothing), (1 - share) * smoothing, teacher)
        counted = target != ignore
        compute = _on_gpu if hidden.is_cuda else _on_cpu
        needed = hidden.requires_grad or weight.requires_grad
        result = compute(hidden, weight, target, counted, parts, dtype, needed)
        if needed:
            ctx.save_for_backward(result.hidden_grad, result.weight_grad)
        loss, nll = ((each * counted).sum(dtype=torch.float64).float() for each in (result.losses, result.nlls))
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, loss_grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad.float() * loss_grad, weight_grad * loss_grad, None, None, None, None, None


def _on_cpu(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    counted: Tensor,
    parts: _Parts,
    dtype: torch.dtype,
    needed: bool,
) -> _Result:
    """Compute the loss on a CPU, where passes over the logits cost most.

    The gradients of the label's and the smoothing's part are a row and a mean of the weights, so they need no pass over
    the logits.
    """
    on_label, on_all, teacher = parts.on_label, parts.on_all, parts.teacher
    rows, matrix = hidden.to(dtype), weight.to(dtype).contiguous()
    # A product with a transposed bf16 view takes twice as long.
    transposed = matrix.t().contiguous()
    real = rows * counted[:, None]
    mean_weight = weight.mean(0)
    mean_logits = hidden.float() @ mean_weight
    taught = None if teacher is None else (teacher.hidden.to(dtype), teacher.weight.to(dtype).t().contiguous())
    hidden_grad = torch.empty_like(rows if needed else rows[:0])
    weight_grad = torch.zeros_like(weight if needed else weight[:0])
    losses, nlls = torch.empty_like(mean_logits), torch.empty_like(mean_logits)
    for start in range(0, rows.size(0), CHUNK):
        here = slice(start, start + CHUNK)
        logits = rows[here] @ transposed
        # Without gradients the probabilities are needed for the loss only, in fp32.
        probabilities = (logits if needed else logits.float()).softmax(1)
        right = logits.gather(1, target[here, None])[:, 0].float()
        # From the label, unless its probability is 0; the likeliest token's probability never is.
        likely = probabilities.gather(1, target[here, None])[:, 0]
        log_total = right - likely.float().log()
        if not bool(likely.all()):
            log_total = logits.amax(1).float() - probabilities.amax(1).float().log()
        nlls[here] = log_total - right
        losses[here] = log_total - on_label * right - on_all * mean_logits[here]
        if taught is not None and teacher is not None:
            aim = (taught[0][here] @ taught[1]).softmax(1)
            losses[here] -= teacher.share * (aim.float() * logits).sum(1)
            probabilities -= teacher.share * aim
        if needed:
            torch.mm(probabilities, matrix, out=hidden_grad[here])
            weight_grad += probabilities.t() @ real[here]
    if needed:
        hidden_grad -= on_label * matrix[target] + (on_all * mean_weight).to(dtype)
        hidden_grad *= counted[:, None]
        weight_grad.index_add_(0, target, real.to(weight.dtype), alpha=-on_label)
        weight_grad -= on_all / weight.size(0) * real.sum(0, dtype=weight.dtype)
    return _Result(losses, nlls, hidden_grad, weight_grad)


def _on_gpu(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    counted: Tensor,
    parts: _Parts,
    dtype: torch.dtype,
    needed: bool,
) -> _Result:
    """Compute the loss on a GPU without waiting for it; one kernel does everything but the products."""
    rows, matrix, teacher = hidden.to(dtype), weight.to(dtype), parts.teacher
    taught = None if teacher is None else (teacher.hidden.to(dtype), teacher.weight.to(dtype))
    hidden_grad = torch.empty_like(rows if needed else rows[:0])
    weight_grad = torch.zeros_like(weight if needed else weight[:0])
    losses, nlls = (torch.empty(rows.size(0), device=rows.device) for _ in range(2))
    for start in range(0, rows.size(0), GPU_CHUNK):
        here = slice(start, start + GPU_CHUNK)
        logits = rows[here] @ matrix.t()
        aimed = None if taught is None else taught[0][here] @ taught[1].t()
        share = 0.0 if teacher is None else teacher.share
        with torch.set_grad_enabled(needed):
            losses[here], nlls[here], gradient = _loss_and_gradient(
                logits.detach(), aimed, target[here], counted[here], parts.on_label, parts.on_all, share
            )
        if needed:
            torch.mm(gradient, matrix, out=hidden_grad[here])
            weight_grad += _fp32_product(gradient.t(), rows[here])
    return _Result(losses, nlls, hidden_grad, weight_grad)


def _fp32_product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right in fp32, so that sums over chunks do not lose small products."""
    if left.dtype == torch.float32:
        return left @ right
    return torch.mm(left, right, out_dtype=torch.float32)


@fused
def _loss_and_gradient(
    logits: Tensor,
    aimed: Tensor | None,
    target: Tensor,
    counted: Tensor,
    on_label: float,
    on_all: float,
    share: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return losses and nlls, [N], and the gradient of the losses with respect to logits [N, V], in their precision."""
    scores = logits.float()
    log_total = scores.logsumexp(1)
    label = torch.arange(logits.size(1), device=logits.device) == target[:, None]
    nlls = log_total - (scores * label).sum(1)
    losses = log_total - on_label * (log_total - nlls) - on_all * scores.mean(1)
    gradient = (scores - log_total[:, None]).exp() - on_label * label - on_all / logits.size(1)
    if aimed is not None:
        aim = aimed.float().softmax(1)
        losses = losses - share * (aim * scores).sum(1)
        gradient = gradient - share * aim
    return losses, nlls, (gradient * counted[:, None]).to(logits.dtype)


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
    """Compute label-smoothed cross-entropy and negative log-likelihood of ``hidden @ weight.T``.

    With smoothing e the loss of a token is (1 - e) x nll + e x mean over the vocabulary of -log p, as in fairseq's
    ``label_smoothed_cross_entropy``. A teacher's share of it is the cross-entropy to the teacher's distribution
    (word-level distillation, Kim and Rush, 2016, arXiv 1606.07947).

    Args:
        hidden: states before the output projection, [N, D].
        weight: output projection, [V, D].
        target: token ids, [N].
        smoothing: label smoothing, in [0, 1).
        teacher: outputs of a network to learn from.
        ignore: token id that does not count.
        dtype: precision of the matrix products; sums are fp32.

    Returns:
        Loss and nll in nats, summed over tokens. Only the loss has a gradient.
    """
    loss, nll = _ProjectedLoss.apply(  # type: ignore[no-untyped-call]
        hidden, weight, target, teacher, smoothing, ignore, dtype
    )
    return loss, nll


@torch.inference_mode()
def token_nll(hidden: Tensor, weight: Tensor, target: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the negative log-likelihood of each token in nats, 0 for padding.

    Args:
        hidden: states before the output projection, [N, D].
        weight: output projection, [V, D].
        target: token ids, [N].
        dtype: precision of the matrix products; the rest is fp32.

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
