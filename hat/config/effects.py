"""Settings that change no result."""

# Settings that change how fast a result is had, or how it is described, and not the result.
WITHOUT_EFFECT = frozenset(
    {"description", "threads", "keep_checkpoints", "tensorboard", "mirrors", "workers", "gpus"}
    | {"note", "host", "ssh_config", "python", "alive_s", "patience_s", "retry_s", "wait_s", "power"}
)
