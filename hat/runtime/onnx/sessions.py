"""Sessions of ONNX Runtime: their threads and options, and errors when they are loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime as ort

from hat.artifacts.missing import missing_file
from hat.errors import InputError


class Sessions:
    """Makes sessions on a CPU.

    Args:
        threads: CPU threads per run.
        parallel: runs side by side.
    """

    def __init__(self, threads: int, parallel: int) -> None:
        self.threads, self.parallel = threads, parallel

    def _options(self, optimisation: ort.GraphOptimizationLevel, threads: int) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.graph_optimization_level = optimisation
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        if threads == 1 or self.parallel > 1:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Lengths differ from run to run, so a memory plan made for one shape would be of no use for the next.
        options.enable_mem_pattern = False
        # 4 is "fatal": exceptions report all other failures.
        options.log_severity_level = 4
        return options

    def load(self, path: Path, properties: Mapping[str, str]) -> ort.InferenceSession:
        """Load a model file, whose metadata must have these properties.

        Raises:
            InputError: the file is missing or malformed, or has other properties.
        """
        if not path.exists():
            raise missing_file(path)
        try:
            # The graphs already consist of large operators. Higher levels fuse sums with norms, and the fused operator
            # takes six times as long on a CPU.
            options = self._options(ort.GraphOptimizationLevel.ORT_ENABLE_BASIC, self.threads)
            session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # ONNX Runtime's exceptions have no base class of their own.
        except Exception as error:
            problem = " ".join(str(error).split())
            raise InputError(f"{path}: ONNX Runtime cannot load it with the files beside it ({problem})") from None
        found = session.get_modelmeta().custom_metadata_map
        for key, value in properties.items():
            if found.get(key) != value:
                raise InputError(f"{path}: {key} is {found.get(key)!r}, expected {value!r} as the model has")
        return session

    def make(self, model: bytes, constants: Mapping[str, npt.NDArray[Any]]) -> ort.InferenceSession:
        """Load a model from memory, with constants from arrays that the caller keeps alive.

        The session has one thread: starting more for every sentence costs more time than they save.
        """
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in constants.values()]
        options = self._options(ort.GraphOptimizationLevel.ORT_DISABLE_ALL, 1)
        options.add_external_initializers(list(constants), values)
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bind_input(binding: ort.IOBinding, name: str, array: npt.NDArray[Any]) -> None:
    """Bind an input to an array that each run reads in place; the caller keeps it alive."""
    binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def bind_output(binding: ort.IOBinding, name: str, array: npt.NDArray[Any]) -> None:
    """Bind an output to an array that each run writes to; the caller keeps it alive."""
    binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
