import hashlib
import hmac
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

SECRET = os.environ["HEYGEN_WEBHOOK_SECRET"].encode() or exit("HEYGEN_WEBHOOK_SECRET is empty")


@csrf_exempt
def heygen(request):
    if request.method == "OPTIONS":  # HeyGen's probe
        return HttpResponse(status=204)
    expected = hmac.new(SECRET, request.body, hashlib.sha256).hexdigest()  # Over the raw bytes.
    if not hmac.compare_digest(expected.encode(), request.headers.get("Signature", "").encode()):
        return HttpResponse(status=401)
    print("verified:", request.body.decode(errors="replace"))  # Queue it here; an event may come twice.
    return HttpResponse(status=204)


# In a project of yours, these are in its settings and urls.py.
urlpatterns = [path("heygen", heygen)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"], SECRET_KEY=os.urandom(16).hex())
application = get_wsgi_application()
