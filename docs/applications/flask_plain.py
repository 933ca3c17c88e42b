import hashlib
import hmac
import os

from flask import Flask, request

SECRET = os.environ["HEYGEN_WEBHOOK_SECRET"].encode() or exit("HEYGEN_WEBHOOK_SECRET is empty")
app = Flask(__name__)


@app.route("/heygen", methods=["OPTIONS", "POST"], provide_automatic_options=False)
def heygen():
    if request.method == "OPTIONS":  # HeyGen's probe
        return "", 204
    body = request.get_data()  # The raw bytes, before anything parses them.
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), request.headers.get("Signature", "").encode()):
        return "", 401
    print("verified:", body.decode(errors="replace"))  # Queue it here; an event may come twice.
    return "", 204
