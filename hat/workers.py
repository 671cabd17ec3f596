"""What worker processes of all kinds need."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Make this worker end when its parent does: it would wait for work for ever where the parent was killed."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
