"""The program `tradewind`: it leaves a person's environment behind before anything else is imported."""

from __future__ import annotations

from ml.environment import cleanse


def main() -> None:
    """Run the command line in a clean environment."""
    cleanse()  # before the import below: a person's PYTHONPATH may hold modules of the same names
    from ml.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
