"""Verifies the signature of a request, and finds out why it does not verify, as the crate heygen-signature does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from heygen_webhooks.rewritings import rewritings


class HasItems(Protocol):
    """Headers as Flask, Starlette and Django have them."""

    def items(self) -> Iterable[tuple[Any, Any]]: ...


#: A body as it was sent, before anything parsed it.
RawBody = bytes | bytearray | memoryview | str

#: The headers of a request, as any framework has them: names and values are ``str`` or ``bytes``, or values are lists of them.
Headers = HasItems | Mapping[str, str] | Iterable[tuple[Any, Any]]

#: One or more secrets, exactly as HeyGen returned them: the prefix ``whsec_`` is part of the key.
Secrets = str | Sequence[str]

Reason = Literal["missing-signature", "malformed-signature", "ambiguous-signature", "signature-mismatch"]


class VerifyError(Exception):
    """A request that does not verify: answer 401."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(_REASONS[reason])
        self.reason: Reason = reason


_REASONS: dict[Reason, str] = {
    "missing-signature": "no signature header",
    "malformed-signature": "the signature header is not 64 hexadecimal digits",
    "ambiguous-signature": "more than one signature in the headers",
    "signature-mismatch": "the signature matches no secret",
}


@dataclass(frozen=True)
class Match:
    """Which secret signed a body: its index, from 0."""

    secret: int


def verify(raw_body: RawBody, headers: Headers, secrets: Secrets) -> Match:
    """Checks that HeyGen signed this body; raises ``VerifyError`` otherwise.

    ``raw_body`` must be the bytes as they were sent: a body that was parsed and serialized again has other bytes. Every secret
    is tried, each in constant time. A delivery to the ``callback_url`` of a single job is never signed.

    An empty secret, or a list without any, is a ``ValueError``.
    """
    keys = [text.encode() for text in _usable(secrets)]
    match = _matching(as_bytes(raw_body), _SignatureHeaders(headers).signature(), keys)
    if match is None:
        raise VerifyError("signature-mismatch")
    return match


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with the signature of a request."""

    #: A stable word for metrics and programs.
    label: str
    #: What to do about it, in one sentence.
    message: str
    #: The secret that it is about: its index, from 0. The message counts from 1.
    secret: int | None = None


def diagnose(raw_body: RawBody, headers: Headers, secrets: Secrets) -> Diagnosis:
    """Verifies a request as ``verify`` does and, when it fails, finds out what went wrong.

    For the operator's log, never for the sender. It tries other keys and some fifty other spellings of the body, so limit how
    often a sender can cause it. Only the label ``verified`` means that the request verifies.
    """
    texts = _usable(secrets)
    body = as_bytes(raw_body)
    found = _SignatureHeaders(headers)
    try:
        signature = found.signature()
    except VerifyError as error:
        if error.reason == "missing-signature":
            return _diagnosis("only-x-heygen-signature" if found.has_x_heygen_signature else "no-signature-header")
        if error.reason == "ambiguous-signature":
            return _diagnosis("ambiguous-signature")
        return _diagnosis("sha256-prefix" if found.value()[:7].lower() == "sha256=" else "not-hex")
    keys = [text.encode() for text in texts]
    match = _matching(body, signature, keys)
    if match is not None:
        return _diagnosis("verified", match.secret)
    for index, text in enumerate(texts):
        for label, key in _other_keys(text):
            if key and _matching(body, signature, [key]) is not None:
                return _diagnosis(label, index)
    for spelling in _other_spellings(body):
        match = _matching(spelling.encode(), signature, keys)
        if match is not None:
            return _diagnosis("matches-reserialized-body", match.secret)
    return _diagnosis("matches-no-secret")


_DIAGNOSES = {
    "verified": "the signature matches {secret}",
    "no-signature-header": (
        "no signature header: it is a callback_url delivery, or not from HeyGen, or a proxy removed the header; "
        "let the proxy pass Signature on"
    ),
    "only-x-heygen-signature": (
        "only X-HeyGen-Signature is present, which HeyGen does not send: let the sender use Signature"
    ),
    "ambiguous-signature": "more than one signature in the headers: find the proxy that adds or joins headers",
    "not-hex": "the signature is not 64 hexadecimal digits: let the sender write the HMAC-SHA256 in hexadecimal",
    "sha256-prefix": "the signature begins with sha256=, which HeyGen's do not: let the sender omit the prefix",
    "matches-trimmed-secret": "{secret} has white space or quotes around it: remove them",
    "matches-secret-without-prefix": (
        "the sender used {secret} without whsec_, which is part of the key: let the sender keep it"
    ),
    "matches-secret-with-prefix": (
        "{secret} lacks the prefix whsec_ that it was issued with: configure it with the prefix"
    ),
    "matches-base64-decoded-secret": (
        "the sender base64-decoded {secret}, which HeyGen does not: let the sender use its text as the key"
    ),
    "matches-reserialized-body": (
        "{secret} signed this body in another spelling: verify the raw bytes, before anything parses and "
        "serializes them again"
    ),
    "matches-no-secret": (
        "the signature matches no secret: compare with the secret that HeyGen issued last for this endpoint; "
        "or the body was altered, or HeyGen did not send it"
    ),
}


def _diagnosis(label: str, secret: int | None = None) -> Diagnosis:
    message = _DIAGNOSES[label].format(secret=f"secret {(secret or 0) + 1}")
    return Diagnosis(label, message, secret)


def _other_keys(secret: str) -> Iterator[tuple[str, bytes]]:
    """The ways in which either side gets a secret wrong."""
    trimmed = secret.strip(_UNSEEN).strip("\"'").strip(_UNSEEN)
    yield "matches-trimmed-secret", trimmed.encode()
    bare = trimmed.removeprefix(_PREFIX)
    if bare != trimmed:
        yield "matches-secret-without-prefix", bare.encode()
    else:
        yield "matches-secret-with-prefix", (_PREFIX + trimmed).encode()
    digits = bare.rstrip("=").replace("-", "+").replace("_", "/")
    if re.fullmatch("[A-Za-z0-9+/]*", digits) and len(digits) % 4 != 1:
        yield "matches-base64-decoded-secret", base64.b64decode(digits + "=" * (-len(digits) % 4))


def _other_spellings(body: bytes) -> Iterator[str]:
    """The spellings of the body that common programs write, if it is small enough."""
    if len(body) > _MAX_REWRITTEN_BYTES:
        return
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return
    yield from rewritings(text)


#: So that one request cannot cause much work.
_MAX_REWRITTEN_BYTES = 64 * 1024

_PREFIX = "whsec_"

#: White space, byte order marks and zero-width characters, which editors leave unseen.
_UNSEEN = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
    "\ufeff\u200b\u200c\u200d\u2060"
)


class _SignatureHeaders:
    """The values of each header name that matters. A list in one value counts as several."""

    def __init__(self, headers: Headers) -> None:
        self._values: dict[str, list[str]] = {}
        pairs = headers.items() if hasattr(headers, "items") else headers
        for name, value in pairs:
            values = [] if value is None else value if isinstance(value, (list, tuple)) else [value]
            self._values.setdefault(_text(name).lower(), []).extend(map(_text, values))

    @property
    def has_x_heygen_signature(self) -> bool:
        return bool(self._values.get("x-heygen-signature"))

    def value(self) -> str:
        """The value that decides, not yet parsed: ``Heygen-Signature`` is used only if there is no ``Signature``."""
        values = self._values.get("signature") or self._values.get("heygen-signature")
        if not values:
            raise VerifyError("missing-signature")
        if len(values) > 1 or "," in values[0]:
            raise VerifyError("ambiguous-signature")
        return values[0].strip(" \t")

    def signature(self) -> bytes:
        value = self.value()
        if not re.fullmatch("[0-9a-fA-F]{64}", value):
            raise VerifyError("malformed-signature")
        return bytes.fromhex(value)


def as_bytes(raw_body: RawBody) -> bytes:
    """The bytes of a body; text is UTF-8, as functions behind a gateway get it."""
    if isinstance(raw_body, str):
        return raw_body.encode()
    if isinstance(raw_body, (bytes, bytearray, memoryview)):
        return bytes(raw_body)
    raise TypeError("the body is not text or bytes as they were sent: give it before anything parses it")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _matching(body: bytes, signature: bytes, keys: Iterable[bytes]) -> Match | None:
    """Which key signed the body. Every key is tried, also after one has matched."""
    match = None
    for index, key in enumerate(keys):
        signed = hmac.compare_digest(hmac.digest(key, body, hashlib.sha256), signature)
        if signed and match is None:
            match = Match(index)
    return match


def _usable(secrets: Secrets) -> Sequence[str]:
    texts = [secrets] if isinstance(secrets, str) else secrets
    if not texts:
        raise ValueError("there is no webhook secret")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError("a webhook secret is not a str: is its variable set?")
        if re.fullmatch(f"({_PREFIX})*", text.strip()):
            raise ValueError("the webhook secret is empty")
    return texts
