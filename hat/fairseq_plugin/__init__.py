"""A ``--user-dir`` package with which fairseq trains and generates SubTransformers (``--arch hat_subtransformer``).

fairseq alone imports this; nothing of ``hat`` does. docs/how-to/fairseq.md has the commands.
"""

import sys
from pathlib import Path

# fairseq puts the folder above this one first on the path, where modules of `hat` would stand for others of the same
# name (profile, requests).
_folder = str(Path(__file__).resolve().parent.parent)
sys.path[:] = [entry for entry in sys.path if entry != _folder]

from .model import SubTransformerModel  # noqa: E402

__all__ = ["SubTransformerModel"]
