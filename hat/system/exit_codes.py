"""Turn errors of a verb into one sentence on standard error and an exit code."""

import os
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from hat.artifacts.files import disk_error
from hat.errors import HatError
from hat.system.machines import reports


class ErrorSentences(TyperGroup):
    """Command group that ends with one sentence and an exit code if a user, a disk or a device causes an error."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except HatError as error:
            # If several processes train together, only the first prints.
            for line in str(error).splitlines() if reports() else ():
                print(f"hat: {line}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader of our output has gone, so nothing may be written when Python closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None
        except OSError as error:
            # If the error names two files, the second is the one that was written.
            failure = disk_error(error, Path(os.fsdecode(error.filename2 or error.filename or "a file")))
            if failure is None:
                raise
            print(f"hat: {failure}", file=sys.stderr)
            raise typer.Exit(failure.exit_code) from None
