"""Other spellings of the same JSON, made by walking over its tokens: numbers keep their digits, fields their order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

_BLANK = " \t\r\n"
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|.', re.DOTALL)

#: A character or an escape; a surrogate pair counts as one escape.
_UNITS = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL
)


def rewritings(json: str) -> Iterator[str]:
    """The text in every style, each with and without a line end; nothing when a string in it does not end."""
    tokens: list[str] = _TOKENS.findall(json.strip(_BLANK))
    if '"' in tokens:
        return
    escapes = ["kept", "escaped", "plain"]
    for spacing, slash, unicode in product(["kept", "compact", "spaced"], escapes, escapes):
        text = "".join(_rewrite(token, spacing, slash, unicode) for token in tokens)
        yield text
        yield text + "\n"


def _rewrite(token: str, spacing: str, slash: str, unicode: str) -> str:
    if token.startswith('"'):
        return _UNITS.sub(lambda unit: _rewrite_unit(unit[0], slash, unicode), token)
    if spacing == "kept":
        return token
    if token in _BLANK:
        return ""
    return f"{token} " if spacing == "spaced" and token in ":," else token


def _rewrite_unit(unit: str, slash: str, unicode: str) -> str:
    if unit in ("/", "\\/"):
        return {"kept": unit, "escaped": "\\/", "plain": "/"}[slash]
    if unicode == "kept":
        return unit
    plain = _unescaped(unit) if unit.startswith("\\") else unit
    if plain is None:
        return unit.lower() if unit.startswith("\\u") else unit
    return _escaped(plain) if unicode == "escaped" and plain > "\x7f" else plain


def _unescaped(unit: str) -> str | None:
    r"""The character of a ``\u`` escape, when JSON also allows it unescaped."""
    units = [int(digits, 16) for digits in re.findall(r"\\u([0-9a-fA-F]{4})", unit)]
    encoded = b"".join(number.to_bytes(2, "big") for number in units)
    try:
        char = encoded.decode("utf-16-be")
    except UnicodeDecodeError:
        return None
    must_stay = char < " " or char in '"\\'
    return None if must_stay else char


def _escaped(char: str) -> str:
    encoded = char.encode("utf-16-be").hex()
    return "".join(f"\\u{encoded[start:start + 4]}" for start in range(0, len(encoded), 4))
