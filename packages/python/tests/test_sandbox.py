"""The sandbox needs the binary: HEYGEN_WEBHOOKS_BIN, or heygen-webhooks on the PATH."""

import json
import os
import sys
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


def script(folder, text):
    """A program in place of the binary."""
    file = folder / "binary"
    file.write_text(f"#!{sys.executable}\n{text}\n")
    file.chmod(0o700)
    return str(file)


def test_sandbox_has_no_settings_of_the_application(tmp_path, monkeypatch):
    names = ["HEYGEN_WEBHOOK_SECRET", "HEYGEN_WEBHOOKS_SECRET_FILE", "HEYGEN_WEBHOOKS_SANDBOX_KEY", "HEYGEN_API_KEY"]
    for name in names:
        monkeypatch.setenv(name, "of the application")
    seen = tmp_path / "seen"
    binary = script(
        tmp_path,
        f"""import json, os, sys
open({str(seen)!r}, "w").write(json.dumps({{k: v for k, v in os.environ.items() if k.startswith("HEYGEN_")}}))
print(json.dumps({{"url": "http://127.0.0.1:1"}}), flush=True)
sys.stdin.read()""",
    )
    Sandbox(binary=binary).close()
    assert json.loads(seen.read_text()) == {}
    Sandbox(binary=binary, secret="whsec_known").close()
    assert json.loads(seen.read_text()) == {"HEYGEN_WEBHOOK_SECRET": "whsec_known"}


def test_sandbox_is_reached_without_the_proxy_of_the_environment(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # What urllib made of the environment before.
    monkeypatch.setattr("urllib.request._opener", None)
    with Sandbox() as sandbox:
        assert sandbox.deliveries() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_sandbox_ends_while_a_forked_process_holds_its_pipe():
    sandbox = Sandbox()
    ended, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.read(ended, 1)
        os._exit(0)
    try:
        closing = threading.Thread(target=sandbox.close, daemon=True)
        closing.start()
        closing.join(20)
        assert not closing.is_alive()
    finally:
        os.close(end)
        os.waitpid(child, 0)
        os.close(ended)


def test_program_that_does_not_listen_is_an_error_and_ends(tmp_path):
    number = tmp_path / "pid"
    binary = script(
        tmp_path,
        f"""import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)
open({str(number)!r}, "w").write(str(os.getpid()))
print("hello", flush=True)
time.sleep(600)""",
    )
    with pytest.raises(RuntimeError, match="does not say where it listens, but: hello"):
        Sandbox(binary=binary)
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)
