"""Compares the verdict of the models on every fixture with the expected one: check.py FIXTURES"""

import json
import sys
from pathlib import Path

from models import HeyGenWebhookEvent, UnknownEvent
from pydantic import ValidationError

fixtures = Path(sys.argv[1])
wrong = []
for fixture in json.loads((fixtures / "index.json").read_text("utf-8"))["fixtures"]:
    if fixture["verdict"] == "unreadable":
        continue
    file = fixture["file"]
    body = json.loads((fixtures / file).read_text("utf-8"))
    model = HeyGenWebhookEvent if fixture["known"] else UnknownEvent
    expected = fixture["verdict"] == "well_formed" and "event_type" in body
    try:
        event = model.model_validate(body)
    except ValidationError as error:
        if expected:
            wrong.append(f"{file} is refused: {error}")
        continue
    if not expected:
        wrong.append(f"{file} is accepted")
    if event.model_dump(exclude_unset=True) != body:
        wrong.append(f"{file} loses something: {event!r}")
if wrong:
    sys.exit("\n".join(wrong))
