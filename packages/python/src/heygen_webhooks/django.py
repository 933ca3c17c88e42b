"""A view for Django: ``path("heygen", heygen(secrets=…, on_event=…))``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from heygen_webhooks.events import Event
from heygen_webhooks.receiver import GivenSecrets, Receiver


def heygen(
    *, secrets: GivenSecrets, on_event: Callable[[Event], object], **options: Any
) -> Callable[[HttpRequest], HttpResponse]:
    """Handles every method. What ``on_event`` raises is a 500, after which HeyGen sends the delivery again.

    Django's ``DATA_UPLOAD_MAX_MEMORY_SIZE`` limits the body. No function may be asynchronous: a coroutine function is a
    ``TypeError`` here, and an awaitable that a function returns is a 500. ``options`` are ``on_unreadable`` and ``on_rejected`` of
    ``Receiver``.
    """
    receiver = Receiver(secrets, on_event, **options)

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        answer = receiver.probed(request.method or "")
        if answer is None:
            try:
                raw_body = request.body
            except RequestDataTooBig:
                answer = receiver.too_large()
            else:
                answer = receiver.received(raw_body, request.headers)
        return HttpResponse(status=answer.status, headers=answer.headers)

    return view
