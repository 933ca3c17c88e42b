import os

from flask import Flask
from heygen_webhooks.flask import heygen


def on_event(event):
    # Queue it here; an event may come twice.
    print(event.event_type, event.outcome, event.subject_id, event.media_url, event.failure_message)


app = Flask(__name__)
secret = os.environ.get("HEYGEN_WEBHOOK_SECRET")
app.register_blueprint(heygen("/heygen", secrets=secret, on_event=on_event))
