"""The sandbox needs the binary: HEYGEN_WEBHOOKS_BIN, or heygen-webhooks on the PATH."""

import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import flask
import pytest
from heygen_webhooks.flask import heygen
from heygen_webhooks.sandbox import Sandbox


class Quiet(WSGIRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def receiver():
    app = flask.Flask(__name__)
    app.events = []
    app.register_blueprint(heygen("/heygen", secrets=lambda: app.secret, on_event=app.events.append))
    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    app.url = f"http://127.0.0.1:{server.server_port}/heygen"
    yield app
    server.shutdown()
    server.server_close()


def test_sandbox_sends_what_is_verified(heygen_sandbox, receiver):
    receiver.secret = heygen_sandbox.register(receiver.url, ["avatar_video.success"])["secret"]
    sent = heygen_sandbox.send("avatar_video.success", data={"callback_id": "order-42"})
    assert sent["deliveries"] == 1
    [delivery] = heygen_sandbox.settled()
    assert (delivery["state"], [attempt["status"] for attempt in delivery["attempts"]]) == ("delivered", [200])
    assert [event.callback_id for event in receiver.events] == ["order-42"]
    assert heygen_sandbox.send("batch.finished")["deliveries"] == 0

    heygen_sandbox.misbehave(duplicates=1)
    heygen_sandbox.send("avatar_video.success")
    heygen_sandbox.settled()
    assert len(receiver.events) == 3


def test_sandbox_is_empty_and_behaves_in_the_next_test(heygen_sandbox, receiver):
    assert heygen_sandbox.deliveries() == []
    receiver.secret = heygen_sandbox.register(receiver.url)["secret"]
    heygen_sandbox.send("avatar_video.success")
    heygen_sandbox.settled()
    assert len(receiver.events) == 1


def test_misuse_is_an_error_with_the_answer(heygen_sandbox):
    with pytest.raises(RuntimeError, match="answered 4.*nonsense"):
        heygen_sandbox.misbehave(nonsense=1)


def test_secret_may_be_known_before_and_pending_is_an_error(receiver):
    receiver.secret = None
    with Sandbox(secret="whsec_known") as sandbox:
        assert sandbox.register(receiver.url)["secret"] == "whsec_known"
        sandbox.send("avatar_video.success")
        with pytest.raises(RuntimeError, match="answered 408"):
            sandbox.settled(timeout=1)


def test_closed_sandbox_has_ended():
    with Sandbox() as sandbox:
        assert sandbox.deliveries() == []
    with pytest.raises(OSError):
        sandbox.deliveries()


def test_missing_binary_is_an_error_that_says_what_to_do():
    with pytest.raises(RuntimeError, match="put heygen-webhooks on the PATH"):
        Sandbox(binary="no-such-binary")
