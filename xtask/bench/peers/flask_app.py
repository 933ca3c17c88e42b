"""Flask as people write it: the signature over the raw body is compared in constant time, nothing is kept."""

import hashlib
import hmac
import os

from flask import Flask, abort, request

SECRET = os.environ["HEYGEN_WEBHOOK_SECRET"].encode()

app = Flask(__name__)


def verified_body():
    body = request.get_data()
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("Signature", "")):
        abort(401)
    return body


@app.post("/webhooks/heygen")
def receive():
    verified_body()
    return {"status": "accepted"}
