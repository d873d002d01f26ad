"""`tradewind intents`: trains on any labelled CSV, scores another, and says how well intents are told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ml.cli.acting import LARGEST_SEED
from ml.contract import JsonObject
from ml.files import write_json
from ml.terminal import Console, echo

FIGURES = {
    "accuracy": "accuracy in scope",
    "out_of_scope_recall": "out of scope: recall",
    "out_of_scope_precision": "out of scope: precision",
    "calibration_error": "calibration error",
    "threshold": "threshold, chosen on validation rows",
}
NAMES = {"teacher": "teachers (MiniLM, 6 blocks, float32)", "student": "student (LiteRT int8, what would ship)"}

commands = typer.Typer()


@commands.command()
def intents(  # noqa: PLR0913, PLR0917 - each is an option of the command
    train: Annotated[Path, typer.Argument(help="CSV of labelled texts to learn from; may be gzipped.")],
    test: Annotated[Path, typer.Argument(help="CSV of the same form that is scored once.")],
    valid: Annotated[
        Path | None, typer.Option(help="CSV that chooses passes, calibration and threshold; default: a tenth of TRAIN.")
    ] = None,
    out_of_scope: Annotated[str | None, typer.Option(help="Label of what no other label covers.")] = None,
    text: Annotated[str | None, typer.Option(help="Column of the texts; default: the one with a usual name.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the labels; likewise.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Of the order of examples and of dropout.")] = 1,
    epochs: Annotated[
        int, typer.Option(min=0, max=200, help="Most passes over TRAIN; 0: six, more where it has few rows.")
    ] = 0,
    teachers: Annotated[int, typer.Option(min=1, max=9, help="Networks that answer together.")] = 1,
    consistency: Annotated[
        float | None,
        typer.Option(
            min=0, max=20, help="How much two readings of a text must agree; default: 6 where TRAIN has few rows."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for figures.json and the exported student.")] = Path("intents"),
) -> None:
    """Train teacher and student on a labelled CSV and score another: one command, any labels, out of scope included."""
    from ml.use_cases.service.labelled_csv import read_examples
    from ml.use_cases.service.trial import Rows, Settings, run

    rows = Rows(
        train=read_examples(train, text, label),
        valid=read_examples(valid, text, label) if valid else (),
        test=read_examples(test, text, label),
        out_of_scope=out_of_scope,
    )
    told = run(rows, Settings(seed=seed, epochs=epochs, members=teachers, consistency=consistency), out)
    write_json(out / "figures.json", told)
    _show(Console(), told)
    echo(str(out / "figures.json"))


def _show(console: Console, told: JsonObject) -> None:
    table = Table("", *(NAMES[name] for name in NAMES))
    for name, words in FIGURES.items():
        if name in told["teacher"]:
            table.add_row(words, *(f"{told[one][name]:.4f}" for one in NAMES))
    table.add_row("time of one text, median", "", f"{told['student']['latency']['p50_ms']:.2f} ms on one thread")
    console.print(table)
    for one in told["student"]["worst"]:
        taken = f", mostly taken for {one['mostly']}" if one["mostly"] else ""
        console.print(f"  {one['label']}: {one['recall']:.0%} recognised{taken}", highlight=False)
