"""A router for FastAPI: ``app.include_router(heygen("/heygen", secrets=…, on_event=…))``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from heygen_webhooks.events import Event
from heygen_webhooks.receiver import MAX_BODY_BYTES, METHODS, Answer, GivenSecrets, Receiver


def heygen(
    path: str, *, secrets: GivenSecrets, on_event: Callable[[Event], Awaitable[object] | object], **options: Any
) -> APIRouter:
    """Handles every method of ``path``. What ``on_event`` raises is a 500, after which HeyGen sends the delivery again.

    ``on_event`` may be a coroutine function; any other runs in a thread. ``options`` are ``on_unreadable`` and ``on_rejected`` of
    ``Receiver``.
    """
    receiver = Receiver(secrets, **options)
    router = APIRouter()

    async def view(request: Request) -> Response:
        answer = receiver.probed(request.method)
        if answer is None:
            raw_body = await _read(request)
            if raw_body is None:
                received: Answer | Event = receiver.too_large()
            else:
                received = await run_in_threadpool(receiver.received, raw_body, request.headers)
            if isinstance(received, Event):
                if inspect.iscoroutinefunction(on_event):
                    await on_event(received)
                else:
                    await run_in_threadpool(on_event, received)
                received = Answer(200)
            answer = received
        return Response(status_code=answer.status, headers=answer.headers)

    router.add_api_route(path, view, methods=METHODS, include_in_schema=False)
    return router


async def _read(request: Request) -> bytes | None:
    """To its end, for a sender that cannot send all of its body may not read the answer."""
    body = bytearray()
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= MAX_BODY_BYTES:
            body += chunk
    return bytes(body) if length <= MAX_BODY_BYTES else None
