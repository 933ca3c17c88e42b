import os

from fastapi import FastAPI
from heygen_webhooks.fastapi import heygen


async def on_event(event):
    # Queue it here; an event may come twice.
    print(event.event_type, event.outcome, event.subject_id, event.media_url, event.failure_message)


app = FastAPI()
secret = os.environ.get("HEYGEN_WEBHOOK_SECRET")
app.include_router(heygen("/heygen", secrets=secret, on_event=on_event))
