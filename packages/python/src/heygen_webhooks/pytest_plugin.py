"""The fixture ``heygen_sandbox``; pytest finds it when the package is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from heygen_webhooks.sandbox import Sandbox


@pytest.fixture(scope="session")
def _heygen_sandbox() -> Iterator[Sandbox]:
    with Sandbox(time_scale=0) as sandbox:
        yield sandbox


@pytest.fixture
def heygen_sandbox(_heygen_sandbox: Sandbox) -> Sandbox:
    """A sandbox that waits for nothing, and is empty at the start of each test."""
    _heygen_sandbox.misbehave()
    _heygen_sandbox.reset()
    return _heygen_sandbox
