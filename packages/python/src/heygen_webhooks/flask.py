"""A blueprint for Flask: ``app.register_blueprint(heygen("/heygen", secrets=…, on_event=…))``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from heygen_webhooks.events import Event
from heygen_webhooks.receiver import MAX_BODY_BYTES, METHODS, GivenSecrets, Receiver


def heygen(
    path: str, *, secrets: GivenSecrets, on_event: Callable[[Event], object], name: str = "heygen", **options: Any
) -> Blueprint:
    """Handles every method of ``path``. What ``on_event`` raises is a 500, after which HeyGen sends the delivery again.

    A body of more than 1 MiB gets 413, whatever ``MAX_CONTENT_LENGTH`` of the application is. No function may be asynchronous: a
    coroutine function is a ``TypeError`` here, and an awaitable that a function returns is a 500. ``options`` are ``on_unreadable`` and
    ``on_rejected`` of ``Receiver``.
    """
    receiver = Receiver(secrets, on_event, **options)
    blueprint = Blueprint(name, __name__)

    def view() -> Response:
        answer = receiver.probed(request.method)
        if answer is None:
            request.max_content_length = MAX_BODY_BYTES
            try:
                raw_body = request.get_data()
            except RequestEntityTooLarge:
                answer = receiver.too_large()
            else:
                answer = receiver.received(raw_body, request.headers)
        return Response(status=answer.status, headers=answer.headers)

    blueprint.add_url_rule(path, view_func=view, methods=METHODS, provide_automatic_options=False)
    return blueprint
