"""What people see on a terminal: text that cannot steer it, whoever wrote the text."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import rich.console
import typer
from rich.console import ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook
from rich.segment import Segment

STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls but tab and line feed; ESC and CSI begin commands to a terminal
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions: they show text in another order than it has
    "\u2028\u2029\ud800-\udfff]"  # further line ends; halves of characters cannot be written at all
)


class Console(rich.console.Console):
    """A console of `rich` that writes control characters of what it is given as escapes, `\\x1b` for example."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False)
        self.push_render_hook(_Escaping())


class PrintableFormatter(logging.Formatter):
    """Formats log records like its parent, without anything that could steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines."""
        return printable(super().format(record))


def printable(text: str) -> str:
    """Return the text with what could steer a terminal written as an escape; lines and tabs stay."""
    return STEERING.sub(_escape, text)


def one_line(text: str) -> str:
    """Return the text on one line: a value of several lines must not look like further records."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def echo(text: str) -> None:
    """Write a result, a line or more of it, to standard output."""
    typer.echo(printable(text))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class _Escaping(RenderHook):
    """Escapes the text of everything that is printed, and leaves alone what the console itself adds."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Escaped(one) for one in renderables]


class _Escaped:
    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: rich.console.Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in console.render(self._inner, options):
            yield Segment(text if control else printable(text), style, control)
