"""Sessions of ONNX Runtime: how many threads they have, and what goes wrong with them."""

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
        threads: threads of a run.
        parallel: runs at the same time.
    """

    def __init__(self, threads: int, parallel: int) -> None:
        self.threads, self.parallel = threads, parallel

    def _options(self, optimisation: ort.GraphOptimizationLevel, threads: int) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.graph_optimization_level = optimisation
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        if threads == 1 or self.parallel > 1:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Lengths differ from run to run: plans of memory by shape would be made anew each time.
        options.enable_mem_pattern = False
        # What fails is said by the exception; 4 is "fatal".
        options.log_severity_level = 4
        return options

    def load(self, path: Path, properties: Mapping[str, str]) -> ort.InferenceSession:
        """The session of a file, which must have these properties.

        Raises:
            InputError: the file is missing, malformed, or has other properties.
        """
        if not path.exists():
            raise missing_file(path)
        try:
            # The graphs are written in large operators. Further levels put sums and norms together, which takes six
            # times as long on a CPU.
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
        """The session of a model that has just been written, with constants that are not in it; keep them alive.

        It has one thread: making further ones for every sentence costs more than they save.
        """
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in constants.values()]
        options = self._options(ort.GraphOptimizationLevel.ORT_DISABLE_ALL, 1)
        options.add_external_initializers(list(constants), values)
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bind_input(binding: ort.IOBinding, name: str, array: npt.NDArray[Any]) -> None:
    """Have runs read an array, whatever is in it then; it must be kept alive."""
    binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def bind_output(binding: ort.IOBinding, name: str, array: npt.NDArray[Any]) -> None:
    """Have runs write to an array; it must be kept alive."""
    binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
