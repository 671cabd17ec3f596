"""The command line: one thin verb per stage, the only thing that the workflow's rules call."""


def main() -> None:
    """Run the ``hat`` command."""
    from hat.cli.app import run

    run()
