"""fairseq's Adam, on torch's fused kernel."""

import math

import torch
from torch import nn

from hat.config.training import Training

EPSILON = 1e-8


class Adam(torch.optim.AdamW):
    """Adam with decoupled weight decay (fairseq's ``adam``).

    It differs from torch's in two ways: epsilon is added to the root of the second moment before bias correction, and a
    layer counts only the updates in which it got a gradient, since the sampled depth may leave it out. Both follow from
    setting epsilon per layer and update: with bias correction c = 1 - beta2^t,
    sqrt(v) + eps = sqrt(c) x (sqrt(v / c) + eps / sqrt(c)).

    Args:
        model: network to update; each layer is a parameter group.
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
        """Apply the gradients, unless ``scaler`` finds them infinite, and clear them."""
        for group in self.param_groups:
            if any(parameter.grad is not None for parameter in group["params"]):
                group["updates"] += 1
            group["lr"] = learning_rate
            group["eps"] = EPSILON / math.sqrt(1 - group["betas"][1] ** max(group["updates"], 1))
        scaler.step(self)
        scaler.update()
        self.zero_grad(set_to_none=True)


def _layers(model: nn.Module) -> list[list[nn.Parameter]]:
    """Group the parameters that get gradients together: one group per layer, and one for all others."""
    groups: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        stack, _, rest = name.partition(".")
        layer = rest.partition(".")[0]
        groups.setdefault(f"{stack}.{layer}" if layer.isdecimal() else "", []).append(parameter)
    return list(groups.values())
