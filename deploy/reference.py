"""Writes docs/reference from the code: settings, parameters, rights, routes, tables, commands; `--check` compares instead.

`make reference` writes it, `make check` compares.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.routing import APIRoute
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from typer.cli import get_docs_for_click
from typer.main import get_command

from ml.cli.main import app
from ml.config import BUCKETS, GRANTS, ROLES, Settings, is_secret
from ml.contract import Table
from ml.parameter import Section, UseCaseParams
from ml.pipeline import ROLES as ROLE_OF
from ml.pipeline import SECRETS
from ml.serving.app import create_apps
from ml.use_cases import NAMES, load

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
MADE = "<!-- Made from the code by `make reference`; do not edit. -->\n\n"
SOME_KEY = "0" * 64
SHOWN = 60  # characters of a default


def table(*head: str, rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def described(model: type[BaseModel]) -> dict[str, str]:
    """Return what the source says below each field, base classes first."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if not issubclass(one, BaseModel) or one.__module__.startswith("pydantic"):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in pairwise(statements):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found


def default(field: FieldInfo) -> str:
    """Return a field's default as it would be written; a dash where there is none."""
    value = field.get_default(call_default_factory=True)
    if field.is_required() or value is None or isinstance(value, SecretStr | BaseModel):
        return "–"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if 0 < len(text) <= SHOWN else "–"


def bounds(field: FieldInfo) -> str:
    """Return the range that a number must keep to."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    held = [
        f"{sign} {getattr(one, name):g}" for name, sign in signs.items() for one in field.metadata if hasattr(one, name)
    ]
    return ", ".join(held)


def settings() -> str:
    """Return the page of the environment's variables."""
    told = described(Settings)
    rows = [
        (
            f"`TRADEWIND_{name.upper()}`",
            "secret" if is_secret(field) else default(field),
            bounds(field),
            told.get(name, ""),
        )
        for name, field in Settings.model_fields.items()
    ]
    text = "Read once from the environment. A file's worth of secrets comes from `TRADEWIND_SECRETS`.\n\n"
    return f"# Settings\n\n{text}{table('variable', 'default', 'range', 'meaning', rows=rows)}"


def parameters() -> str:
    """Return the page of `params.yaml`."""
    common = [name for name, field in UseCaseParams.model_fields.items() if name not in ("features", "train")]
    text = "# Parameters\n\nOf `params.yaml`, a section a use case; unknown keys, values out of range and names of what does not "
    text += "exist are refused.\n\n## Of every use case\n\n"
    text += _fields(UseCaseParams, common)
    for name in NAMES:
        text += f"\n## {name}\n\n{_fields(load(name).params, ('features', 'train'))}"
    return text


def _fields(params: type[UseCaseParams], sections: Iterable[str]) -> str:
    rows = [row for name in sections for row in _rows(params.model_fields[name].annotation, name)]
    return table("parameter", "default", "range", "meaning", rows=rows)


def _rows(section: object, place: str) -> Iterator[tuple[str, str, str, str]]:
    if not (isinstance(section, type) and issubclass(section, Section)):
        return
    told = described(section)
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _rows(field.annotation, f"{place}.{name}")
        else:
            yield f"`{place}.{name}`", default(field), bounds(field), told.get(name, "")


def rights() -> str:
    """Return the page of who may do what."""
    grants = table(
        "bucket",
        *(f"`{role}`" for role in ROLES),
        rows=[(f"`{bucket}`", *(GRANTS[role].get(bucket, "") for role in ROLES)) for bucket in BUCKETS],
    )
    stages = table(
        "stage",
        "role",
        "secrets beside its S3 user",
        rows=[
            (f"`{stage}`", f"`{role}`", ", ".join(f"`{one}`" for one in SECRETS.get(stage, ())))
            for stage, role in ROLE_OF.items()
        ],
    )
    head = "# Rights\n\nOne S3 user a role: `r` reads and lists, `w` writes and deletes objects. No role may set a bucket's "
    head += "versioning, lifecycle, CORS, tags, policy or locks.\n\n"
    return f"{head}{grants}\n## What a stage's process is handed\n\n{stages}"


def routes() -> str:
    """Return the page of the model server's routes."""
    secret = SecretStr(SOME_KEY)
    with tempfile.TemporaryDirectory() as home:
        held = Settings(
            home=Path(home),
            verify_key=_some_public_key(),
            s3_role="serve",
            s3_access_key="-",
            s3_secret_key=secret,
            server_token=secret,
            pseudonym_key=secret,
        )
        made = create_apps(held, {name: load(name) for name in NAMES})
    rows = [
        (f"`{route.path}`", ", ".join(sorted(route.methods)), (route.description or route.summary or "").split("\n")[0])
        for route in made.main.routes
        if isinstance(route, APIRoute)
    ]
    return f"# Routes of the model server\n\n{table('path', 'method', 'what it does', rows=sorted(rows))}"


def _some_public_key() -> str:
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def tables() -> str:
    """Return the page of the tables that a shop provides."""
    used: dict[str, tuple[Table, list[str]]] = {}
    for name in NAMES:
        for one in load(name).data.tables:
            used.setdefault(one.name, (one, []))[1].append(name)
    text = "# Tables\n\n`optional`: the shop may not have it. Treatments: [privacy](../privacy.md).\n"
    for one, readers in used.values():
        kind = "optional, " if one.optional else ""
        keyed = f", key {' + '.join(f'`{column}`' for column in one.key)}" if one.key else ""
        text += f"\n## {one.name}\n\n{kind}read by {', '.join(readers)}{keyed}\n\n"
        text += table(
            "column",
            "type",
            "may be empty",
            "treatment",
            "meaning",
            rows=[
                (f"`{c.name}`", c.type, "yes" if c.nullable else "", c.treatment, c.description) for c in one.columns
            ],
        )
    return text


def commands() -> str:
    """Return the page of the command line."""
    command = get_command(app)
    return get_docs_for_click(
        obj=command, ctx=command.make_context("tradewind", [], resilient_parsing=True), name="tradewind"
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "parameters.md": parameters,
    "rights.md": rights,
    "routes.md": routes,
    "tables.md": tables,
    "commands.md": commands,
}


def main() -> int:
    """Write the pages, or say which of them are not as the code has it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    is_check = parser.parse_args().check
    old = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, MADE + make().strip() + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            old.append(name)
            if not is_check:
                FOLDER.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if is_check and old:
        sys.stderr.write(f"docs/reference: {', '.join(old)} differ from the code; run `make reference`\n")
    return int(is_check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
