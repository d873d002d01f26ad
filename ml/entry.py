"""The program `tradewind`: it leaves a person's environment behind before anything else is imported."""

from __future__ import annotations

from ml.environment import cleanse


def main() -> None:
    """Run the command line in a clean environment."""
    cleanse()
    from ml.__main__ import main as run

    run()
