"""Shows what is behind one answer on a terminal."""

from __future__ import annotations

from ml.serving.trace import Trace
from ml.terminal import Console, one_line


def show(out: Console, found: Trace) -> None:
    """Show a trace, a fact a line."""
    entry, data, validation = found.entry, found.data, found.validation
    moved = f"entry {entry.seq} of the ledger, {entry.action} {entry.when} by {entry.who}: {entry.why}"
    checked = f"{validation['summary']}  {validation['report']}" if validation else "its report is no longer kept"
    lines = {
        "answered": f"{found.time} by {found.use_case}",
        "version": found.version,
        "live by": moved,
        "gate": f"{found.gate['summary']}  {found.gate['digest']}",
        "data": f"as of {data['as_of']['data']}, source {data['source']['digest']}, run {data['run_id']}",
        "": "  ".join(f"{path} {md5}" for path, md5 in sorted(data["outputs"].items()) if path.startswith("data/")),
        "validation": checked,
    }
    if found.erased:
        lines["erased"] = f"{len(found.erased)} customers of its data since, {', '.join(found.erased)}: no rebuild"
    for word, text in lines.items():
        out.print(f"{word:<11}{one_line(text)}", highlight=False, markup=False, soft_wrap=True)
