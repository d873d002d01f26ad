"""What fills the parts of a record that a test never reaches."""

from typing import Any, NoReturn

from pydantic import BaseModel


def unused(*_: Any, **__: Any) -> NoReturn:
    """Say that a test reached further than its author thought."""
    raise NotImplementedError("a part of the record that this test leaves out")


ANY_PARAMS: Any = BaseModel
"""The parameters' type where nothing reads parameters."""
NO_PARAMS: Any = None
"""Parameters of a stage that reads none."""
