"""The pydantic models, which the extra ``models`` brings what is needed for."""

import json
import os
from pathlib import Path

import pytest
from heygen_webhooks import is_known
from heygen_webhooks.models import AvatarVideoSuccessEvent, HeyGenWebhookEvent
from pydantic import ValidationError

FIXTURES = Path(os.environ.get("HEYGEN_FIXTURES", Path(__file__).parents[3] / "fixtures"))
BODIES = sorted((FIXTURES / "events").glob("*/*.json"))


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nothing_is_lost(path):
    body = json.loads(path.read_bytes())
    is_typed = is_known(body.get("event_type", "")) and not path.stem.startswith("malformed-")
    if not is_typed:
        with pytest.raises(ValidationError):
            HeyGenWebhookEvent.model_validate(body)
        return
    event = HeyGenWebhookEvent.model_validate(body)
    assert event.model_dump(mode="json", exclude_unset=True) == body


def test_an_event_has_its_own_model():
    body = {"event_type": "avatar_video.success", "event_data": {"video_id": "v", "url": "u"}}
    event = HeyGenWebhookEvent.model_validate(body).root
    assert isinstance(event, AvatarVideoSuccessEvent)
    assert event.event_data.url == "u"
