import hashlib
import hmac
import os

from fastapi import FastAPI, Request, Response

SECRET = os.environ["HEYGEN_WEBHOOK_SECRET"].encode() or exit("HEYGEN_WEBHOOK_SECRET is empty")
app = FastAPI()


@app.api_route("/heygen", methods=["OPTIONS", "POST"])
async def heygen(request: Request):
    if request.method == "OPTIONS":  # HeyGen's probe
        return Response(status_code=204)
    body = await request.body()  # The raw bytes, before anything parses them.
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    given = ",".join(request.headers.getlist("Signature"))
    if not hmac.compare_digest(expected.encode(), given.encode()):
        return Response(status_code=401)
    print("verified:", body.decode(errors="replace"))  # Queue it here; an event may come twice.
    return Response(status_code=204)
