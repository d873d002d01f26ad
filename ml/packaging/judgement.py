"""What the gate judged, byte for byte: a list that the judging role signs, and that packaging and promotion compare with.

`evaluate` writes the list; the task signs it, together with the run and its frozen files, after the outputs were pushed. The
key is not there inside the DVC stage, whose outputs are kept and taken again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.files import readable, sha256
from ml.packaging import artifact, version
from ml.packaging.archive import manifest
from ml.packaging.oci import Layout
from ml.packaging.version import PREFIX

JUDGEMENT_SCHEMA = "tradewind/judgement/1"
JUDGEMENT_TYPE = "application/vnd.tradewind.judgement+json"
ENVELOPE = "judgement.dsse.json"
"""Name of the signed list beside a run, and in a workspace."""
STATE, PROFILE = "features/state.json", "features/profile.parquet"
HISTORIES = "features/histories.parquet"
VERDICT, METRICS, GOLDEN = "evaluate/verdict.json", "evaluate/metrics.json", "evaluate/golden.json"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The bytes that one run's gate judged."""

    use_case: str
    run_id: str
    variant: str | None
    """The variant that the gate chose; none where it refuses."""
    files: Mapping[str, str]
    """Digest by path below `data/<use case>`: the chosen variant, state, histories, golden requests, verdict, metrics."""
    frozen: Mapping[str, str]
    """Digests of the run's `inputs.json` and `params.yaml`."""

    def told(self) -> JsonObject:
        """Return the statement that is signed."""
        return {"schema": JUDGEMENT_SCHEMA, **asdict(self)}

    @classmethod
    def of(cls, statement: JsonObject) -> Judgement:
        """Return the judgement that a signed statement of this schema tells."""
        return cls(**{name: statement[name] for name in statement if name != "schema"})

    def ensure(self, name: str, digest: str) -> None:
        """Refuse bytes that are not those that were judged under that path.

        Raises:
            IntegrityBroken: They are others, or nothing was judged there.
        """
        if self.files.get(name) != digest:
            raise _changed(f"{name} as judged, {self.files.get(name, 'none')}", digest)


def ensure_judged(judgement: Judgement, layout: Layout, description: JsonObject) -> None:
    """Refuse a packaged version that holds anything else than what was judged.

    Args:
        judgement: What the judging role signed.
        layout: The packaged version.
        description: What its `version.json` has to say.

    Raises:
        IntegrityBroken: A file of it or of its gate report is missing, added or changed.
    """
    packaged = version.read(layout)
    inside = manifest(layout.blob(packaged.layer.digest))
    ensure_inside(judgement, inside, sha256(readable(description)))
    named = layout.referrers(packaged.digest)
    documents = {
        VERDICT: (artifact.GATE, "verdict.json"),
        METRICS: (artifact.GATE, "metrics.json"),
        PROFILE: (artifact.PROFILE, "profile.parquet"),
    }
    if missing := sorted({kind for kind, _ in documents.values()} - set(named)):
        raise _changed("a gate report and a drift profile", f"no {', '.join(missing)}")
    found = {path: sha256(layout.file(named[kind].digest, title)) for path, (kind, title) in documents.items()}
    ensure_documents(judgement, found)


def ensure_inside(judgement: Judgement, inside: Mapping[str, str], description: str | None = None) -> None:
    """Refuse a version's layer whose files are not those that were judged.

    Args:
        judgement: What the judging role signed.
        inside: Digest by path of the files of the layer.
        description: Digest that `version.json` has to have; none where only the version's own digest vouches for it.

    Raises:
        IntegrityBroken: A file is missing, added or changed.
    """
    if judgement.variant is None:
        raise _changed("a judgement that chose a variant", "one that refuses")
    place = f"{PREFIX}/version.json"
    expected = {**_inside(judgement, judgement.variant), place: description or inside.get(place, "")}
    if inside != expected:
        names = sorted(name for name in inside.keys() | expected.keys() if inside.get(name) != expected.get(name))
        raise _changed("the files that were judged", f"others at {', '.join(names[:5])}")


def ensure_documents(judgement: Judgement, found: Mapping[str, str]) -> None:
    """Refuse documents about a version, as digests by path, that are not those that were judged."""
    for path, digest in found.items():
        judgement.ensure(path, digest)


def _inside(judgement: Judgement, variant: str) -> dict[str, str]:
    """Return the digests that the files of the version's layer must have, but for `version.json`."""
    folder = f"compress/{variant}/"
    model = {
        f"{PREFIX}/model/{name.removeprefix(folder)}": digest
        for name, digest in judgement.files.items()
        if name.startswith(folder)
    }
    return {
        **model,
        f"{PREFIX}/state.json": judgement.files.get(STATE, ""),
        f"{PREFIX}/golden.json": judgement.files.get(GOLDEN, ""),
    }


def _changed(expected: str, received: str) -> IntegrityBroken:
    return IntegrityBroken(
        expected, received, "The run's outputs were changed after they were judged: nothing goes live; start a new run."
    )
