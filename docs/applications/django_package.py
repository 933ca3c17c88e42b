import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from heygen_webhooks.django import heygen


def on_event(event):
    # Queue it here; an event may come twice.
    print(event.event_type, event.outcome, event.subject_id, event.media_url, event.failure_message)


# In a project of yours, these are in its settings and urls.py.
urlpatterns = [path("heygen", heygen(secrets=os.environ.get("HEYGEN_WEBHOOK_SECRET"), on_event=on_event))]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"], SECRET_KEY=os.urandom(16).hex())
application = get_wsgi_application()
