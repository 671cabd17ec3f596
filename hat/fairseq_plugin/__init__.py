"""A ``--user-dir`` package for training SubTransformers and translating with them in fairseq.

The model is ``--arch hat_subtransformer``. Only fairseq imports this package. docs/how-to/fairseq.md has the commands.
"""

import sys
from pathlib import Path

# fairseq puts the folder above this one first on the path, where packages of `hat` would hide others of the same name.
_folder = str(Path(__file__).resolve().parent.parent)
sys.path[:] = [entry for entry in sys.path if entry != _folder]

from .model import SubTransformerModel  # noqa: E402

__all__ = ["SubTransformerModel"]
