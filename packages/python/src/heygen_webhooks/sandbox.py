"""Starts ``heygen-webhooks sandbox``, which plays HeyGen, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener


class Sandbox:
    """A sandbox on a free port. It ends with the ``with`` block, when it is closed, or with this process.

    ``binary`` is by default what ``HEYGEN_WEBHOOKS_BIN`` names, or else ``heygen-webhooks`` on the PATH. ``time_scale`` shortens the
    waits between attempts; at 0 nothing waits. ``secret`` is that of every endpoint, for a receiver that reads its own at its start;
    by default each gets a new one.
    """

    #: Replaces ``https://api.heygen.com`` in a client. Any API key is good.
    url: str

    def __init__(
        self, binary: str | None = None, time_scale: float | None = None, secret: str | None = None
    ) -> None:
        binary = binary or os.environ.get("HEYGEN_WEBHOOKS_BIN") or "heygen-webhooks"
        # Its variables are options too, and the application's own settings are none of a sandbox.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEYGEN_")}
        if secret is not None:
            environment["HEYGEN_WEBHOOK_SECRET"] = secret
        words = [binary, "sandbox", "--listen", "127.0.0.1:0", "--json", "--until-stdin-closes"]
        if time_scale is not None:
            words += ["--time-scale", str(time_scale)]
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
            )
        except OSError as error:
            advice = "put heygen-webhooks on the PATH, or name it in HEYGEN_WEBHOOKS_BIN"
            raise RuntimeError(f"{binary} does not start: {advice}") from error
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        try:
            self.url = json.loads(first)["url"]
        except (ValueError, KeyError, TypeError) as error:
            self._end()
            self._process.stdout.close()
            if not first:
                raise RuntimeError(f"{binary} sandbox ended before it listened") from None
            raise RuntimeError(f"{binary} sandbox does not say where it listens, but: {first.strip()}") from error
        # Read to its end, so that the pipe never fills.
        self._reader = threading.Thread(target=self._process.stdout.read, daemon=True)
        self._reader.start()

    def register(self, url: str, events: Sequence[str] | None = None) -> dict[str, Any]:
        """Registers a receiver, which must answer ``OPTIONS``; ``secret`` of the answer is its secret."""
        endpoint = {"url": url} if events is None else {"url": url, "events": list(events)}
        return self._call("POST", "/v3/webhooks/endpoints", endpoint)  # type: ignore[no-any-return]

    def send(self, event_type: str, **fields: Any) -> dict[str, Any]:
        """Sends the sample of an event type in the background; ``settled`` waits for it.

        ``fields`` are those of ``POST /sandbox/events``: ``data={"clips.0.status": "failed"}``, ``without=["url"]``.
        """
        return self._call("POST", "/sandbox/events", {"event_type": event_type, **fields})  # type: ignore[no-any-return]

    def deliveries(self) -> list[dict[str, Any]]:
        """Every delivery so far, with its attempts."""
        return self._call("GET", "/sandbox/deliveries")  # type: ignore[no-any-return]

    def settled(self, timeout: int = 30) -> list[dict[str, Any]]:
        """Every delivery, once all have ended. What is pending after so many seconds is a ``RuntimeError``."""
        return self._call("GET", f"/sandbox/settled?timeout={timeout}")  # type: ignore[no-any-return]

    def misbehave(self, **misbehaviour: Any) -> None:
        """Misbehaves from now on, in the ways that docs/sandbox.md lists; without any it behaves again."""
        self._call("POST", "/sandbox/misbehave", misbehaviour)

    def reset(self) -> None:
        """Deletes everything, and ends every delivery."""
        self._call("POST", "/sandbox/reset")

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdout is not None
        self._end()
        self._reader.join()
        self._process.stdout.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        # A forked process may hold the pipe too, so that its end alone does not end the sandbox.
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Api-Key": "sandbox", "Content-Type": "application/json"}
        request = Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with _opener.open(request) as response:
                text = response.read()
        except HTTPError as error:
            raise RuntimeError(f"{method} {path} answered {error.code}: {error.read().decode()}") from error
        return json.loads(text)["data"] if text else None


# The sandbox is on this machine, which a proxy of the environment does not reach.
_opener = build_opener(ProxyHandler({}))
