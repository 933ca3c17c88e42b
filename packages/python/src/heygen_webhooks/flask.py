"""A blueprint for Flask: ``app.register_blueprint(heygen("/heygen", secrets=…, on_event=…))``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from heygen_webhooks.events import Event
from heygen_webhooks.receiver import MAX_BODY_BYTES, METHODS, Answer, GivenSecrets, Receiver


def heygen(
    path: str, *, secrets: GivenSecrets, on_event: Callable[[Event], object], name: str = "heygen", **options: Any
) -> Blueprint:
    """Handles every method of ``path``. What ``on_event`` raises is a 500, after which HeyGen sends the delivery again.

    ``options`` are ``on_unreadable`` and ``on_rejected`` of ``Receiver``.
    """
    receiver = Receiver(secrets, **options)
    blueprint = Blueprint(name, __name__)

    def view() -> Response:
        answer = receiver.probed(request.method)
        if answer is None:
            request.max_content_length = MAX_BODY_BYTES
            try:
                received = receiver.received(request.get_data(), request.headers)
            except RequestEntityTooLarge:
                received = receiver.too_large()
            if isinstance(received, Event):
                on_event(received)
                received = Answer(200)
            answer = received
        return Response(status=answer.status, headers=answer.headers)

    blueprint.add_url_rule(path, view_func=view, methods=METHODS, provide_automatic_options=False)
    return blueprint
