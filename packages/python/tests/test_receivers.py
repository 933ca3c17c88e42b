"""The receivers for the three frameworks, each through the framework's own test client."""

import asyncio
import functools
import hashlib
import hmac

import django
import fastapi.testclient
import flask
import pytest
from django.conf import settings
from django.test import Client
from django.urls import path as django_path
from heygen_webhooks import django as for_django
from heygen_webhooks import fastapi as for_fastapi
from heygen_webhooks import flask as for_flask

SECRET = "whsec_test"
BODY = b'{"event_type":"avatar_video.fail","event_data":{"video_id":"v"}}'

urlpatterns: list = []


def start_flask(**options):
    app = flask.Flask(__name__)
    app.register_blueprint(for_flask.heygen("/heygen", **options))
    client = app.test_client()
    return lambda method, body, headers: client.open("/heygen", method=method, data=body, headers=headers)


def start_fastapi(**options):
    app = fastapi.FastAPI()
    app.include_router(for_fastapi.heygen("/heygen", **options))
    client = fastapi.testclient.TestClient(app, raise_server_exceptions=False)
    return lambda method, body, headers: client.request(method, "/heygen", content=body, headers=headers)


def start_fastapi_async(*, on_event, **options):
    async def asynchronous(event):
        on_event(event)

    return start_fastapi(on_event=asynchronous, **options)


def start_django(**options):
    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="test", LOGGING_CONFIG=None)
        django.setup()
    urlpatterns[:] = [django_path("heygen", for_django.heygen(**options))]
    django.urls.clear_url_caches()
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)

    def send(method, body, headers):
        kind = headers.pop("Content-Type", "application/octet-stream")
        return client.generic(method, "/heygen", body, content_type=kind, headers=headers)

    return send


@pytest.mark.parametrize("start", [start_flask, start_fastapi, start_fastapi_async, start_django])
def test_receiver(start):
    events, unreadable, rejected = [], [], []
    state = {"secrets": None, "failure": None}

    def on_event(event):
        if state["failure"]:
            raise state["failure"]
        events.append(event)

    send = start(
        secrets=lambda: state["secrets"],
        on_event=on_event,
        on_unreadable=lambda body, error: unreadable.append(body),
        on_rejected=rejected.append,
    )

    def post(body, signed=None):
        signature = hmac.new(SECRET.encode(), signed or body, hashlib.sha256).hexdigest()
        return send("POST", body, {"Signature": signature, "Content-Type": "application/json"})

    for method in ("OPTIONS", "GET", "HEAD"):
        assert send(method, b"", {}).status_code == 204, method
    assert send("PUT", b"", {}).status_code == 405

    early = post(BODY)
    assert (early.status_code, early.headers["Retry-After"]) == (503, "60")
    state["secrets"] = [SECRET]
    assert post(BODY).status_code == 200
    assert post(b"\n " + BODY).status_code == 200
    assert [event.subject_id for event in events] == ["v", "v"]
    assert post(b"<html>").status_code == 200
    assert unreadable == [b"<html>"]

    assert send("POST", BODY, {}).status_code == 401
    assert post(BODY + b" ", signed=BODY).status_code == 401
    assert post(b"x" * 3_000_000).status_code == 413
    assert [rejection.status for rejection in rejected] == [503, 401, 401, 413]
    assert "callback_url" in rejected[1].message
    state["failure"] = RuntimeError("no database")
    assert post(BODY).status_code == 500
    assert len(events) == 2


def signed(body):
    return {"Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}


def asynchronous(called, failure=None):
    """The ways to write a function whose result must be awaited; the first three can be told before they are called."""

    async def function(*given):
        await asyncio.sleep(0)
        if failure:
            raise failure
        called.append(given)

    class Callable:
        async def __call__(self, *given):
            await function(*given)

    return [function, functools.partial(function), Callable(), lambda *given: function(*given)]


@pytest.mark.parametrize("way", range(4))
def test_fastapi_awaits_every_function(way):
    events, unreadable, rejected = [], [], []
    send = start_fastapi(
        secrets=SECRET,
        on_event=asynchronous(events)[way],
        on_unreadable=asynchronous(unreadable)[way],
        on_rejected=asynchronous(rejected)[way],
    )
    assert send("POST", BODY, signed(BODY)).status_code == 200
    assert send("POST", b"<html>", signed(b"<html>")).status_code == 200
    assert send("POST", BODY, {}).status_code == 401
    assert send("POST", b"x" * 3_000_000, {}).status_code == 413
    assert [event.subject_id for (event,) in events] == ["v"]
    assert [body for body, _ in unreadable] == [b"<html>"]
    assert [rejection.status for (rejection,) in rejected] == [401, 413]


@pytest.mark.parametrize("way", range(4))
def test_what_an_awaited_function_raises_is_a_500(way):
    send = start_fastapi(secrets=SECRET, on_event=asynchronous([], RuntimeError("no database"))[way])
    assert send("POST", BODY, signed(BODY)).status_code == 500


@pytest.mark.parametrize("name", ["on_event", "on_unreadable", "on_rejected"])
@pytest.mark.parametrize("way", range(3))
@pytest.mark.parametrize("start", [start_flask, start_django])
def test_coroutine_functions_are_refused_where_no_one_awaits_them(start, way, name):
    functions = {"on_event": print, name: asynchronous([])[way]}
    with pytest.raises(TypeError, match=f"{name} is asynchronous"):
        start(secrets=SECRET, **functions)


@pytest.mark.parametrize("start", [start_flask, start_django])
def test_delivery_is_not_acknowledged_when_an_awaitable_is_returned(start):
    called = []
    function = asynchronous(called)[3]
    send = start(secrets=SECRET, on_event=function, on_unreadable=function, on_rejected=function)
    assert send("POST", BODY, signed(BODY)).status_code == 500
    assert send("POST", b"<html>", signed(b"<html>")).status_code == 500
    assert send("POST", BODY, {}).status_code == 500
    assert called == []
