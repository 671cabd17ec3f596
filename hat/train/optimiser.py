"""Adam as fairseq has it, on torch's fused kernel."""

import math

import torch
from torch import nn

from hat.config.training import Training

EPSILON = 1e-8


class Adam(torch.optim.AdamW):
    """Adam with decoupled weight decay (fairseq's ``adam``).

    Two things differ from torch's: epsilon is added to the root of the second moment before its bias is corrected,
    and a weight that gets no gradient in an update (of a layer that the sampled depth leaves out) counts its own
    updates. Both hold here because epsilon is set anew for each layer and update: with bias correction
    c = 1 - beta2^t, sqrt(v) + eps = sqrt(c) x (sqrt(v / c) + eps / sqrt(c)).

    Args:
        model: whose weights are updated; each of its layers is a parameter group.
        training: betas and weight decay.
    """

    def __init__(self, model: nn.Module, training: Training) -> None:
        super().__init__(
            [{"params": parameters, "updates": 0} for parameters in _layers(model)],
            lr=1.0,
            betas=training.adam_betas,
            eps=EPSILON,
            weight_decay=training.weight_decay,
            fused=True,
        )

    def update(self, learning_rate: float, scaler: torch.amp.GradScaler) -> None:
        """Apply the gradients, which ``scaler`` may find too large to use, and drop them."""
        for group in self.param_groups:
            if any(parameter.grad is not None for parameter in group["params"]):
                group["updates"] += 1
            group["lr"] = learning_rate
            group["eps"] = EPSILON / math.sqrt(1 - group["betas"][1] ** max(group["updates"], 1))
        scaler.step(self)
        scaler.update()
        self.zero_grad(set_to_none=True)


def _layers(model: nn.Module) -> list[list[nn.Parameter]]:
    """Parameters that always get gradients together: those of each layer of a stack, and all others."""
    groups: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        stack, _, rest = name.partition(".")
        layer = rest.partition(".")[0]
        groups.setdefault(f"{stack}.{layer}" if layer.isdecimal() else "", []).append(parameter)
    return list(groups.values())
