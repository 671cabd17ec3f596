"""Facts about each Runtime, in one table, which imports only what a device has: NumPy and a Runtime."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hat.config.kmeans import PRECISIONS as QUANTISED

# Names of GPUs in a device's configuration.
GPU_NAME = "cuda(?::[0-9]{1,3})?"


@dataclass(frozen=True, kw_only=True)
class RuntimeFacts:
    """Facts about a Runtime that do not require importing it.

    Args:
        name: the value of ``runtime`` in a device's configuration.
        module: where it is implemented.
        class_name: its class there.
        package: the package that executes networks, by its name in ``requirements.lock``.
        extra: the extra of this project that installs the package.
        precisions: how it can store weights; those that k-means makes are not for devices.
        kinds: kinds of networks that it executes, as ``kind`` of a baseline names them.
        expresses: values of a dimension of Transformers that it expresses, where that is not all of them.
        gpu: whether it can execute on a GPU.
        shortlist: whether it can keep to a lexical shortlist.
        disk_mb: free megabytes that setting a device up asks for.
    """

    name: str
    module: str
    class_name: str
    package: str
    extra: str
    precisions: tuple[str, ...]
    kinds: tuple[str, ...]
    expresses: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    gpu: bool = False
    shortlist: bool = True
    disk_mb: int


# By name, in the order of the configuration's documentation.
RUNTIMES: Mapping[str, RuntimeFacts] = {
    facts.name: facts
    for facts in (
        RuntimeFacts(
            name="torch",
            module="hat.runtime.torch.runtime",
            class_name="TorchRuntime",
            package="torch",
            extra="workflow",
            precisions=("fp32", *QUANTISED),
            kinds=("transformer", "evolved"),
            gpu=True,
            disk_mb=2000,
        ),
        # Executes as the research code does, which has neither shortlists nor Evolved Transformers.
        RuntimeFacts(
            name="torch-published",
            module="hat.runtime.torch.published",
            class_name="TorchPublishedRuntime",
            package="torch",
            extra="workflow",
            precisions=("fp32",),
            kinds=("transformer",),
            gpu=True,
            shortlist=False,
            disk_mb=2000,
        ),
        RuntimeFacts(
            name="onnxruntime",
            module="hat.runtime.onnx.runtime",
            class_name="OnnxRuntime",
            package="onnxruntime",
            extra="onnxruntime",
            precisions=("fp32", "int8", "int4"),
            kinds=("transformer", "evolved"),
            disk_mb=300,
        ),
        # Its cross-attention attends to the last encoder layer only.
        RuntimeFacts(
            name="ctranslate2",
            module="hat.runtime.ctranslate2.runtime",
            class_name="CTranslate2Runtime",
            package="ctranslate2",
            extra="ctranslate2",
            precisions=("fp32", "int8"),
            kinds=("transformer",),
            expresses={"decoder_cross_span": (1,)},
            disk_mb=350,
        ),
    )
}
# Runtimes that can execute on a GPU.
ON_GPU = tuple(name for name, facts in RUNTIMES.items() if facts.gpu)
# Precisions of devices: those a Runtime can convert trained weights to without k-means.
DEVICE_PRECISIONS = tuple(
    dict.fromkeys(
        precision for facts in RUNTIMES.values() for precision in facts.precisions if precision not in QUANTISED
    )
)
# The Runtime for precisions that a device's own Runtime does not support.
FALLBACK = "onnxruntime"
