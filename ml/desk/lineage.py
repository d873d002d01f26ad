"""What a version came from, as a graph: the source, each stage with what it made, the version; as the run's lock tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml.contract import JsonObject
from ml.pipeline import FILE_STAGES

SOURCE, VERSION = "source", "version"
ROW = 38  # between two nodes [px]
LINE = 62  # where the nodes stand, from the left [px]
TOP = 16  # of the first node [px]
DOT = 6  # radius of a node [px]
BEND = 11  # by which an edge leans out for each node that it passes [px]
WIDEST = 52  # that an edge leans out [px]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One thing on the way to a version."""

    name: str
    outputs: Mapping[str, str]
    """DVC's digest of what a stage made, by its path; empty for the source and the version."""
    y: int


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Nodes from top to bottom, and what was made from what."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    """(from, to), by name."""

    @property
    def height(self) -> int:
        """Return the height of the picture [px]."""
        return TOP + ROW * len(self.nodes)

    @property
    def paths(self) -> list[str]:
        """Return each edge as an SVG path: straight to the next node, in an arc past others."""
        place = {node.name: at for at, node in enumerate(self.nodes)}
        return [_path(place[start], place[end]) for start, end in self.edges]

    def feeds(self, name: str) -> list[str]:
        """Return what a node was made from."""
        return [start for start, end in self.edges if end == name]


def graph(use_case: str, lock: JsonObject) -> Graph:
    """Return the graph of a version that a run's `dvc.lock` tells of; stages that it does not name are left out."""
    stages = {name: (lock.get("stages") or {}).get(f"{name}@{use_case}") for name in FILE_STAGES}
    known = {name: stage for name, stage in stages.items() if stage}
    outputs = {SOURCE: {}, **{name: _outputs(stage) for name, stage in known.items()}, VERSION: {}}
    edges = [
        (SOURCE, next(iter(known), VERSION)),
        *_between(use_case, known),
        *((name, VERSION) for name in [*known][-1:]),
    ]
    nodes = [Node(name=name, outputs=made, y=TOP + ROW * at) for at, (name, made) in enumerate(outputs.items())]
    return Graph(nodes=tuple(nodes), edges=tuple(edges))


def _outputs(stage: JsonObject) -> dict[str, str]:
    return {out["path"]: out["md5"] for out in stage.get("outs", ()) if "md5" in out}


def _between(use_case: str, known: Mapping[str, JsonObject]) -> Iterator[tuple[str, str]]:
    for name, stage in known.items():
        read = {part[2] for dep in stage.get("deps", ()) if _is_of(use_case, part := dep["path"].split("/"))}
        yield from ((other, name) for other in known if other in read)


def _is_of(use_case: str, path: Sequence[str]) -> bool:
    return len(path) > 2 and path[0] in ("data", "reports") and path[1] == use_case


def _path(start: int, end: int) -> str:
    above, below = (TOP + ROW * at for at in (start, end))
    if end - start == 1:
        return f"M{LINE} {above + DOT}V{below - DOT}"
    out = LINE - min(BEND * (end - start), WIDEST)
    return f"M{LINE - DOT} {above}C{out} {above + ROW // 2} {out} {below - ROW // 2} {LINE - DOT} {below}"
