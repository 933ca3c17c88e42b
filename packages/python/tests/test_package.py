"""Against the bodies and vectors that the Rust crates answer for. HEYGEN_FIXTURES names the folder fixtures/."""

import base64
import hashlib
import hmac
import json
import os
from pathlib import Path

import heygen_webhooks as heygen
import pytest

FIXTURES = Path(os.environ.get("HEYGEN_FIXTURES", Path(__file__).parents[3] / "fixtures"))
VECTORS = json.loads((FIXTURES / "signature-vectors.json").read_bytes())
ANSWERS = json.loads((FIXTURES / "answers.json").read_bytes())


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_signature_vector(vector):
    request = base64.b64decode(vector["body"]), vector["headers"], vector["secrets"]
    expected = vector["diagnosis"]
    if vector["error"] is None:
        assert heygen.verify(*request) == heygen.Match(expected["secret"])
    else:
        with pytest.raises(heygen.VerifyError) as error:
            heygen.verify(*request)
        assert {"reason": error.value.reason, "message": str(error.value)} == vector["error"]
    assert heygen.diagnose(*request) == heygen.Diagnosis(**expected)


@pytest.mark.parametrize("vector", VECTORS["unusable_secrets"], ids=lambda vector: repr(vector["secret"]))
def test_unusable_secret_is_an_error(vector):
    with pytest.raises(ValueError, match=vector["message"]):
        heygen.verify(b"", {}, vector["secret"])


def test_no_secret_is_an_error():
    with pytest.raises(ValueError, match="there is no webhook secret"):
        heygen.verify(b"", {}, [])


def check(body, expected):
    if expected is None:
        with pytest.raises(heygen.ParseError):
            heygen.parse(body)
        return
    event = heygen.parse(body)
    assert {question: getattr(event, question) for question in expected} == expected


@pytest.mark.parametrize("path", ANSWERS["fixtures"])
def test_fixture_is_answered_as_heygen_events_answers_it(path):
    check((FIXTURES / path).read_bytes(), ANSWERS["fixtures"][path])


@pytest.mark.parametrize("case", ANSWERS["bodies"], ids=lambda case: case["body"][:60])
def test_body_is_answered_as_heygen_events_answers_it(case):
    check(case["body"].encode(), case["answers"])


def test_headers_come_in_the_forms_of_every_framework():
    vector = VECTORS["vectors"][0]
    body, secrets = base64.b64decode(vector["body"]), vector["secrets"][0]
    signature = vector["headers"][0][1]
    for headers in (
        {"Signature": signature, "Host": None},
        [(b"signature", signature.encode())],
        {"SIGNATURE": signature}.items(),
        {"Signature": [signature], "X-HeyGen-Signature": []},
    ):
        assert heygen.verify(body, headers, secrets) == heygen.Match(0)
    with pytest.raises(heygen.VerifyError, match="more than one"):
        heygen.verify(body, {"Signature": [signature, signature]}, secrets)


def test_body_comes_in_every_form():
    vector = VECTORS["vectors"][0]
    body, headers, secrets = base64.b64decode(vector["body"]), vector["headers"], vector["secrets"]
    for form in (body, bytearray(body), memoryview(body), body.decode()):
        assert heygen.verify(form, headers, secrets) == heygen.Match(0)
        assert heygen.diagnose(form, headers, secrets).label == "verified"
    event = b'{"event_type":"a"}'
    for form in (event, bytearray(event), memoryview(event), event.decode()):
        assert heygen.parse(form).event_type == "a"


@pytest.mark.parametrize("parsed", [{"event_type": "a"}, [1], 1, None])
def test_parsed_body_is_an_error_of_the_program(parsed):
    for call in (heygen.verify, heygen.diagnose):
        with pytest.raises(TypeError, match="before anything parses it"):
            call(parsed, {"Signature": "a" * 64}, "whsec_test")
    with pytest.raises(TypeError, match="before anything parses it"):
        heygen.parse(parsed)


@pytest.mark.parametrize("secrets", [["whsec_test", None], b"whsec_test"])
def test_secret_that_is_no_text_is_named_as_such(secrets):
    with pytest.raises(TypeError, match="is its variable set"):
        heygen.verify(b"", {}, secrets)


@pytest.mark.parametrize(("length", "label"), [(65_535, "matches-reserialized-body"), (65_536, "matches-no-secret")])
def test_large_body_is_not_rewritten(length, label):
    body = b'["' + b"x" * (length - 4) + b'"]'
    signature = hmac.new(b"whsec_test", body, hashlib.sha256).hexdigest()
    assert heygen.diagnose(body + b"\n", {"signature": signature}, "whsec_test").label == label


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"event_type":"a","n":' + b"9" * 5000 + b"}", b"\xef\xbb\xbf{}"])
def test_hostile_body_is_an_event_or_a_parse_error(body):
    try:
        assert heygen.parse(body).event_type == "a"
    except heygen.ParseError:
        assert b"event_type" not in body


def test_names_are_those_of_the_schemas():
    assert len(heygen.EVENT_TYPES) == 30
    assert heygen.is_known("avatar_video.success")
    assert not heygen.is_known("avatar_video.sucess")
