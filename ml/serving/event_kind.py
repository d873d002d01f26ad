"""Which kind of event a client sent: told by the fields that no other kind asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Union

from pydantic import BaseModel, Discriminator, Tag

Kinds = Mapping[str, type[BaseModel]]


def kind_of(kinds: Kinds, event: Any) -> str | None:
    """Return the kind most of whose required fields an event has, the first where several do; none where there is no kind."""
    names = set(event) if isinstance(event, Mapping) else set(getattr(event, "model_fields_set", ()))
    return max(kinds, key=lambda kind: len(names & _required(kinds[kind])), default=None)


def one_of(kinds: Kinds) -> Any:
    """Return the type of an event of any kind; faults name the fields of the kind that it is taken for."""
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    tagged = tuple(Annotated[model, Tag(kind)] for kind, model in kinds.items())

    def kind(event: Any) -> str | None:
        return kind_of(kinds, event)

    return Annotated[Union[tagged], Discriminator(kind)]  # noqa: UP007 - a tuple cannot be told by |


def _required(model: type[BaseModel]) -> set[str]:
    return {name for name, field in model.model_fields.items() if field.is_required()}
