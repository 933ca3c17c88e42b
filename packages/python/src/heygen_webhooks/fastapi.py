"""A router for FastAPI: ``app.include_router(heygen("/heygen", secrets=…, on_event=…))``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from heygen_webhooks.events import Event
from heygen_webhooks.receiver import MAX_BODY_BYTES, METHODS, GivenSecrets, Receiver


def heygen(
    path: str, *, secrets: GivenSecrets, on_event: Callable[[Event], Awaitable[object] | object], **options: Any
) -> APIRouter:
    """Handles every method of ``path``. What ``on_event`` raises is a 500, after which HeyGen sends the delivery again.

    ``on_event`` may be asynchronous; any function is called in a thread, and what it returns is awaited if it can be. A body of more
    than 1 MiB gets 413. ``options`` are ``on_unreadable`` and ``on_rejected`` of ``Receiver``, which may be asynchronous too.
    """
    receiver = Receiver(secrets, on_event, **options, may_await=True)
    router = APIRouter()

    async def view(request: Request) -> Response:
        answer = receiver.probed(request.method)
        if answer is None:
            raw_body = await _read(request)
            if raw_body is None:
                answer = await run_in_threadpool(receiver.too_large)
            else:
                answer = await run_in_threadpool(receiver.received, raw_body, request.headers)
            # Here rather than in the thread, which others wait for.
            if answer.pending is not None:
                await answer.pending
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
