"""Facts about each Runtime."""

from collections.abc import Mapping

from hat.config.kmeans import PRECISIONS as QUANTISED

# Precisions of each Runtime.
PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "torch": ("fp32", *QUANTISED),
    "torch-published": ("fp32",),
    "onnxruntime": ("fp32", "int8", "int4"),
    "ctranslate2": ("fp32", "int8"),
}
# What GPUs are called, and the Runtimes that can execute on one.
GPU_NAME = "cuda(?::[0-9]{1,3})?"
ON_GPU = frozenset({"torch", "torch-published"})
# Those that have no shortlist, as the research code has none.
WITHOUT_SHORTLIST = frozenset({"torch-published"})
# Those that execute networks of every kind.
UNCONFINED = ("onnxruntime", "torch")
# Where each is implemented, and the extra that installs what it needs.
_CLASSES = {
    "torch": ("hat.runtime.torch.runtime", "TorchRuntime", "workflow"),
    "torch-published": ("hat.runtime.torch.published", "TorchPublishedRuntime", "workflow"),
    "onnxruntime": ("hat.runtime.onnx.runtime", "OnnxRuntime", "onnxruntime"),
    "ctranslate2": ("hat.runtime.ctranslate2.runtime", "CTranslate2Runtime", "ctranslate2"),
}
