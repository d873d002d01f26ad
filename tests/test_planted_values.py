"""No planted name, e-mail address, card, phone or customer number is in any byte that ingest, validate or anonymise store."""

import gzip
import io
import tarfile
from dataclasses import replace

import pandas as pd
import pytest

from ml.contract import Column, Table
from ml.files import read_table, write_parquet
from ml.parameter import AnonymiseParams
from ml.pipeline import anonymise, ingest, validate
from ml.pipeline.context import StageContext
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import fingerprint, read_key
from ml.privacy.seal import Opener
from ml.sources.opening import open_source
from ml.store import Bucket
from tests.sample_shop import LAST
from tests.stored_bytes import files, holders, views
from tests.toy_use_case import TOY, ToyParams

PLANTED = ["kunde-zx81-4711", "Anna Kowalska", "anna.k@planted.example", "4111 1111 1111 1111", "+49 171 2345678"]
"""Customer number, name, e-mail address, card, phone."""
MESSAGES = Table(
    name="messages",
    time_column="sent_at",
    columns=(
        Column(name="customer_id", type="string", treatment="pseudonym"),
        Column(name="text", type="string", treatment="redact"),
        Column(name="email", type="string", treatment="encrypt"),
        Column(name="phone", type="string", treatment="drop"),
        Column(name="sent_at", type="timestamp"),
    ),
)


@pytest.fixture
def context(tmp_path, keeper):
    number, person, email, card, phone = PLANTED
    rows = pd.DataFrame({"customer_id": [number, "other"], "email": [email, "o@other.example"], "phone": phone})
    rows = rows.assign(text=[f"My name is {person}, I paid with {card}", "Where is my tea?"])
    zone = tmp_path / "zone"
    zone.mkdir()
    rows.assign(sent_at=pd.Timestamp(LAST)).to_parquet(zone / "messages.parquet", index=False)
    spec = {"kind": "files", "location": str(zone)}
    record = replace(TOY, name="recommend", data=replace(TOY.data, tables=(MESSAGES,)))
    frozen = open_source(spec, keeper).freeze(record.data.tables, LAST)
    inputs = {
        "as_of": {"data": str(frozen.as_of_data)},
        "source": {"spec": spec, "digest": frozen.digest, "last_day": str(frozen.last_day)},
        "accepted": [],
        "decisions": [],
        "erasures": [],
        "key_ring": KeyRing.open(keeper, "recommend").id,
        "pseudonym_key": fingerprint(read_key(keeper)),
    }
    return StageContext(
        use_case=record,
        params=ToyParams(anonymise=AnonymiseParams(k=2)),
        inputs=inputs,
        settings=keeper,
        root=tmp_path / "run",
    )


def test_no_planted_value_is_stored_and_operations_get_back_what_they_need(context, keeper, caplog):
    caplog.set_level("DEBUG")
    context.root.mkdir()
    for stage in (ingest, validate, anonymise):
        stage.run(context)
    keys = Bucket.open(keeper, "keys")
    stored = [*files(context.root), *((key, keys.get(key)) for key in keys.keys()), ("log", caplog.text.encode())]  # noqa: SIM118 - a bucket is no mapping
    assert holders(stored, PLANTED) == []
    out = context.data("anonymise")
    assert "My name is [NAME], I paid with [CARD]" in set(read_table(out / "tables" / "messages")["text"])
    assert list(read_table(out / "tables" / "messages").columns) == ["customer_id", "text", "sent_at"]
    cells = read_table(out / "sealed" / "messages")["email"]
    opener = Opener(lambda: KeyRing.open(keeper, "recommend"))
    assert {opener.value("messages.email", cell) for cell in cells} == {PLANTED[2], "o@other.example"}


def test_the_search_sees_through_every_wrapping(tmp_path):
    write_parquet(tmp_path / "table.parquet", pd.DataFrame({"a": [PLANTED[0]]}))
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        archive.add(tmp_path / "table.parquet", "inside/table.parquet")
    assert len(list(views(gzip.compress(sink.getvalue())))) == 4
    assert set(holders([("layer", gzip.compress(sink.getvalue()))], PLANTED)) == {("layer", PLANTED[0])}
