"""Turns the bytes of a shop's text file into text, as its mapping says; what does not fit is refused with a guess."""

from __future__ import annotations

import codecs

from charset_normalizer import from_bytes

from ml.errors import SourceInvalid

MARKS = {
    "utf-32-le": codecs.BOM_UTF32_LE,  # before UTF-16's, with which it begins
    "utf-32-be": codecs.BOM_UTF32_BE,
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}
GUESSES = ("gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1252", "cp1250", "cp1251", "cp1253")
UNITS = {"utf-16": 2, "utf-32": 4}  # bytes
MOSTLY = 0.6  # of the bytes are zeros: of plain letters, half in UTF-16 and three quarters in UTF-32
SAMPLE = 65_536  # bytes that a guess looks at


def decode(data: bytes, encoding: str, origin: str) -> str:
    """Return a file's text without its byte order mark.

    Args:
        data: The file's bytes.
        encoding: As the mapping says; UTF-8 where it says nothing.
        origin: The file, for messages.

    Raises:
        SourceInvalid: It is not in that encoding, or begins with the mark of another one.
    """
    asked = codecs.lookup(encoding).name
    plain = "utf-8" if asked == "utf-8-sig" else asked
    exact = _byte_order(data, asked) if asked in UNITS else plain
    marked = next((name for name, mark in MARKS.items() if data.startswith(mark)), None)
    if exact is None or (marked is not None and marked != exact):
        raise _another(data, encoding, origin)
    try:
        text = data.decode(exact).removeprefix("\ufeff")
    except UnicodeError:
        raise _another(data, encoding, origin) from None  # its message quotes bytes
    if "\0" in text:
        raise _another(data, encoding, origin)
    return text


def _byte_order(data: bytes, form: str) -> str | None:
    """Return a form's byte order: by the mark, else by where the zeros of plain letters lie; none where that says nothing.

    Args:
        data: The file's bytes.
        form: `utf-16` or `utf-32`.
    """
    for name in (f"{form}-le", f"{form}-be"):
        if data.startswith(MARKS[name]):
            return name
    unit = UNITS[form]
    high, low = data[:SAMPLE:unit].count(0), data[unit - 1 : SAMPLE : unit].count(0)
    if high == low:
        return f"{form}-le" if not data else None
    return f"{form}-be" if high > low else f"{form}-le"


def _another(data: bytes, encoding: str, origin: str) -> SourceInvalid:
    said = "UTF-8" if codecs.lookup(encoding).name == "utf-8" else encoding
    return SourceInvalid(
        f"text in {said} in {origin}",
        f"bytes that are not {said}{_where(data, encoding)}; {_guess(data)}",
        "Set `encoding` of the table in the mapping, or save the file as UTF-8.",
    )


def _where(data: bytes, encoding: str) -> str:
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return f" in line {line}"
    except UnicodeError:
        return ""
    return ""


def _guess(data: bytes) -> str:
    for name, mark in MARKS.items():
        if data.startswith(mark):
            return f"its byte order mark says {name}"
    if b"\0" in data[:SAMPLE]:
        zeros = data[:SAMPLE].count(0) / len(data[:SAMPLE])
        order = _byte_order(data, "utf-32" if zeros > MOSTLY else "utf-16")
        return f"its zeros look like {order}" if order and _decodes(data, order) else "it holds zeros: is it text?"
    if _decodes(data, "utf-8"):
        return "it could be utf-8"
    matches = from_bytes(data[:SAMPLE], cp_isolation=list(GUESSES))
    found = [min(match.could_be_from_charset, key=GUESSES.index) for match in matches]
    return f"it could be {' or '.join(found[:3])}" if found else "no usual encoding fits"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True
