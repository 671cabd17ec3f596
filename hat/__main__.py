"""``python -m hat``: the console script."""

from hat.cli import main

main()
