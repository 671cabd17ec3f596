"""GPUs of the torch Runtimes."""

import re

import torch

from hat.config.runtimes import GPU_NAME
from hat.errors import HatError


def gpu(accelerator: str) -> torch.device:
    """Return the GPU that a device's configuration or a deployed folder names, ``cuda`` or ``cuda:NUMBER``.

    Raises:
        HatError: this machine does not have it.
    """
    known = re.fullmatch(GPU_NAME, accelerator) is not None
    number = int(accelerator.partition(":")[2] or 0) if known else 0
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not known or number >= count:
        found = f"only cuda:0 to cuda:{count - 1}" if count > 1 else "only cuda:0" if count else "no GPU"
        raise HatError(f"accelerator is {accelerator!r}, but torch {torch.__version__} finds {found} on this machine")
    return torch.device("cuda", number)


def gpu_name(accelerator: str) -> str:
    """Return the product name of a GPU.

    Raises:
        HatError: this machine does not have it.
    """
    return torch.cuda.get_device_name(gpu(accelerator))
