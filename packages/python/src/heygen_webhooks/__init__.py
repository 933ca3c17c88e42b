"""HeyGen webhooks: verify a body, parse it, ask it. Standard library only.

Receivers are in ``heygen_webhooks.flask``, ``.fastapi`` and ``.django``, pydantic models in ``.models``, and a sandbox that plays
HeyGen in ``.sandbox``.
"""

from heygen_webhooks.events import EVENT_TYPES, Event, Outcome, ParseError, is_known, parse
from heygen_webhooks.names import MediaKind
from heygen_webhooks.receiver import Rejection
from heygen_webhooks.signature import Diagnosis, Match, VerifyError, diagnose, verify

__all__ = [
    "EVENT_TYPES",
    "Diagnosis",
    "Event",
    "Match",
    "MediaKind",
    "Outcome",
    "ParseError",
    "Rejection",
    "VerifyError",
    "diagnose",
    "is_known",
    "parse",
    "verify",
]
