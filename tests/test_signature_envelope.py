"""Signatures hold for the bytes and the type that were signed, under a trusted key, and for nothing else."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import ConfigInvalid, IntegrityBroken
from ml.packaging.signing import Signer, Verifier, combine, generate_key, pae

TYPE = "application/vnd.tradewind.test+json"
PAIR = generate_key()
OTHER = generate_key()


def test_pae_is_the_one_of_the_specification():
    # The example of the DSSE protocol document.
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.text(max_size=40), st.binary(max_size=200))
def test_pae_counts_bytes_so_that_no_two_pairs_collide(kind, body):
    encoded = pae(kind, body)
    length = len(kind.encode())
    assert encoded == b"DSSEv1 " + str(length).encode() + b" " + kind.encode() + b" " + str(len(body)).encode() + (
        b" " + body
    )


@given(st.binary(max_size=200))
def test_what_was_signed_comes_back(payload):
    assert Verifier(PAIR.public).verify(Signer(PAIR.private).sign(TYPE, payload), TYPE) == payload


def test_signature_is_ed25519_over_the_encoding_alone():
    envelope = json.loads(Signer(PAIR.private).sign(TYPE, b"{}"))
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    load_pem_public_key(PAIR.public.encode()).verify(signature, pae(TYPE, b"{}"))


def test_changed_payload_is_refused():
    envelope = json.loads(Signer(PAIR.private).sign(TYPE, b"one"))
    envelope["payload"] = base64.b64encode(b"two").decode()
    with pytest.raises(IntegrityBroken, match="none that holds"):
        Verifier(PAIR.public).verify(json.dumps(envelope).encode(), TYPE)


def test_envelope_of_another_type_is_refused():
    envelope = Signer(PAIR.private).sign("application/vnd.other", b"{}")
    with pytest.raises(IntegrityBroken, match="of type"):
        Verifier(PAIR.public).verify(envelope, TYPE)


def test_renamed_type_is_refused():
    envelope = json.loads(Signer(PAIR.private).sign("application/vnd.other", b"{}"))
    envelope["payloadType"] = TYPE
    with pytest.raises(IntegrityBroken, match="none that holds"):
        Verifier(PAIR.public).verify(json.dumps(envelope).encode(), TYPE)


def test_unknown_key_is_refused_and_trusted_after_it_is_added():
    envelope = Signer(OTHER.private).sign(TYPE, b"{}")
    with pytest.raises(IntegrityBroken, match="none that holds"):
        Verifier(PAIR.public).verify(envelope, TYPE)
    assert Verifier(combine([PAIR.public, OTHER.public])).verify(envelope, TYPE) == b"{}"


def test_lying_key_id_neither_helps_nor_harms():
    envelope = json.loads(Signer(PAIR.private).sign(TYPE, b"{}"))
    envelope["signatures"][0]["keyid"] = Signer(OTHER.private).key_id
    data = json.dumps(envelope).encode()
    assert Verifier(PAIR.public).verify(data, TYPE) == b"{}"
    with pytest.raises(IntegrityBroken):
        Verifier(OTHER.public).verify(data, TYPE)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"payloadType":"x","payload":"?","signatures":[]}', b"\xff"])
def test_what_is_no_envelope_is_called_that(data):
    with pytest.raises(IntegrityBroken, match="DSSE envelope"):
        Verifier(PAIR.public).verify(data, TYPE)


def test_envelope_without_signatures_is_refused():
    envelope = json.loads(Signer(PAIR.private).sign(TYPE, b"{}"))
    envelope["signatures"] = []
    with pytest.raises(IntegrityBroken, match="none that holds"):
        Verifier(PAIR.public).verify(json.dumps(envelope).encode(), TYPE)


@pytest.mark.parametrize("text", ["", "nonsense", PAIR.private])
def test_verifier_without_a_public_key_is_refused(text):
    with pytest.raises(ConfigInvalid, match="public keys"):
        Verifier(text)


def test_signer_without_a_private_key_is_refused():
    with pytest.raises(ConfigInvalid, match="private key"):
        Signer(PAIR.public)
