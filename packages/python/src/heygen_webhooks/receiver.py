"""Answers HeyGen's requests: probes, then verified deliveries. What the receivers for all frameworks share."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from heygen_webhooks.events import Event, ParseError, parse
from heygen_webhooks.signature import Headers, Secrets, VerifyError, diagnose, verify

#: The secret of the endpoint, several while one replaces another, or a function that gives them. As long as there is none,
#: deliveries get 503, and HeyGen sends them again.
GivenSecrets = Secrets | None | Callable[[], Secrets | None]

METHODS = ["GET", "HEAD", "OPTIONS", "POST"]
MAX_BODY_BYTES = 1024 * 1024

_log = logging.getLogger("heygen_webhooks")


@dataclass(frozen=True)
class Rejection:
    """A request that was rejected."""

    status: int
    #: Why, for the operator. At most once a second this is what ``diagnose`` finds.
    message: str


@dataclass(frozen=True)
class Answer:
    """What a request is answered."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    #: To await before the answer is sent. It may raise.
    pending: Awaitable[object] | None = None


def _log_rejection(rejection: Rejection) -> None:
    _log.warning("webhook rejected with %s: %s", rejection.status, rejection.message)


def _log_unreadable(raw_body: bytes, error: ParseError) -> None:
    _log.warning("signed body is no event, acknowledged: %s", error)


class Receiver:
    """The decisions of a receiver; frameworks bring the requests and carry out the answers.

    The application's functions may be asynchronous if ``may_await``: then what they return is ``pending`` in an ``Answer``. Otherwise
    no one would run them and the delivery would be lost, so that a coroutine function and an awaitable result are ``TypeError``s.
    """

    def __init__(
        self,
        secrets: GivenSecrets,
        on_event: Callable[[Event], object],
        on_unreadable: Callable[[bytes, ParseError], object] = _log_unreadable,
        on_rejected: Callable[[Rejection], object] = _log_rejection,
        *,
        may_await: bool = False,
    ) -> None:
        if not may_await:
            given: dict[str, Callable[..., object]] = {
                "on_event": on_event,
                "on_unreadable": on_unreadable,
                "on_rejected": on_rejected,
            }
            for name, function in given.items():
                if _is_coroutine_function(function):
                    raise TypeError(f"{name} is asynchronous, and only the receiver for FastAPI can await it")
        self._may_await = may_await
        self._given = secrets
        self._on_event = on_event
        self._on_unreadable = on_unreadable
        self._on_rejected = on_rejected
        self._diagnosed_at = float("-inf")

    def probed(self, method: str) -> Answer | None:
        """The answer to everything but a POST."""
        if method in ("GET", "HEAD", "OPTIONS"):
            return Answer(204, {"Allow": ", ".join(METHODS)})
        return None if method == "POST" else Answer(405, {"Allow": ", ".join(METHODS)})

    def received(self, raw_body: bytes, headers: Headers) -> Answer:
        """Handles a POST. Raises what the functions of the application raise."""
        secrets = self._given() if callable(self._given) else self._given
        if not secrets:
            return self._rejected(503, "there is no webhook secret", {"Retry-After": "60"})
        try:
            verify(raw_body, headers, secrets)
        except VerifyError as error:
            return self._rejected(401, self._explained(error, raw_body, headers, secrets))
        try:
            event = parse(raw_body)
        except ParseError as error:
            return self._after(self._on_unreadable(raw_body, error), Answer(200))
        return self._after(self._on_event(event), Answer(200))

    def too_large(self) -> Answer:
        """The answer to a body that is larger than ``MAX_BODY_BYTES``."""
        return self._rejected(413, "the body is too large")

    def _explained(self, error: VerifyError, raw_body: bytes, headers: Headers, secrets: Secrets) -> str:
        """A diagnosis is a hundred times slower than a check, and anyone can cause one."""
        now = time.monotonic()
        if now - self._diagnosed_at < 1:
            return str(error)
        self._diagnosed_at = now
        return diagnose(raw_body, headers, secrets).message

    def _rejected(self, status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
        return self._after(self._on_rejected(Rejection(status, message)), Answer(status, headers or {}))

    def _after(self, result: object, answer: Answer) -> Answer:
        """The answer, once a function of the application has returned this."""
        if not inspect.isawaitable(result):
            return answer
        if self._may_await:
            return replace(answer, pending=result)
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("an awaitable was returned, and only the receiver for FastAPI can await it")


def _is_coroutine_function(function: Callable[..., object]) -> bool:
    """Also for an object whose ``__call__`` is one."""
    call = getattr(function, "__call__", None)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
