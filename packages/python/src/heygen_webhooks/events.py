"""Parses a body, and answers what callers want to know under one name for every event, as the crate heygen-events does."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from heygen_webhooks.names import MEDIA, MediaKind
from heygen_webhooks.signature import RawBody, as_bytes

Outcome = Literal["success", "failure", "other"]

#: Every event that HeyGen documents by name. HeyGen adds names about every month.
EVENT_TYPES: tuple[str, ...] = tuple(MEDIA)


class ParseError(ValueError):
    """A body that is not JSON, or no object with a name."""


def is_known(event_type: str) -> bool:
    """Whether this version knows the name of an event."""
    return event_type in MEDIA


def parse(raw_body: RawBody) -> Event:
    """Parses a verified body.

    Integers of more than 18 digits are given as text, because ids may be such numbers and Python refuses very long ones.
    """
    text = as_bytes(raw_body)
    try:
        body = json.loads(text.decode(), parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ParseError("the body is not an object")
    for name in (body.get("event_type"), body.get("event")):
        if isinstance(name, str) and _is_well_formed(name):
            return Event(name, body.get("event_data"), body)
    raise ParseError("event_type is missing or not a string")


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= 18 else digits


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


@dataclass(frozen=True)
class Event:
    """An event, known or not."""

    #: The name. HeyGen adds names about every month; ``is_known`` tells.
    event_type: str
    #: The data: an object for every event that HeyGen documents, but nothing checks that.
    data: Any = field(repr=False)
    #: All of the body.
    body: dict[str, Any] = field(repr=False)

    @property
    def is_known(self) -> bool:
        """Whether this version knows the name."""
        return is_known(self.event_type)

    @property
    def outcome(self) -> Outcome:
        """How the job ended, according to the name."""
        name = self.event_type
        last = name.rpartition(".")[2]
        if name == "personalized_video":
            return "success"
        if "." not in name:
            return "other"
        if last == "success":
            return "success"
        return "failure" if last == "fail" or last.endswith("failed") else "other"

    @property
    def subject_id(self) -> str | None:
        """What the event is about: the id of the video, translation, render, job, … A number is given as its digits."""
        subject = self.event_type.partition(".")[0]
        names = [*_OWN_IDS.get(subject, ()), "video_id", "video_translate_id", "render_id", f"{subject}_id", *_OTHER_IDS]
        return _first(self.data, names)

    @property
    def callback_id(self) -> str | None:
        """The ``callback_id`` given when the job was started."""
        return _first(self.data, ["callback_id"]) or _first(self.body, ["callback_id"])

    @property
    def media_url(self) -> str | None:
        """The link to the result: the preview for a gif event, the captions for a caption event, otherwise the video.

        Links are presigned: they expire, and anyone who has one can use it. A success may come without one.
        """
        if self.outcome == "failure":
            return None
        _, link = self._link()
        return link or (self._clip_link() if self.outcome == "success" else None)

    @property
    def media_kind(self) -> MediaKind | None:
        """What ``media_url`` links to, if known; known from the name also without a link."""
        kind = self._kind_of_name()
        if kind or self.is_known or self.outcome == "failure":
            return kind
        name, link = self._link()
        is_video = name == "video_url" or _VIDEO_FILE.search(re.split("[?#]", link or "")[0])
        return "video" if is_video else None

    @property
    def failure_message(self) -> str | None:
        """Why the job failed, for a person to read. The wording is not stable."""
        if self.outcome == "success":
            return None
        error = self.data.get("error") if isinstance(self.data, dict) else None
        return (
            _first(self.data, ["msg", "message", "failure_message", "error_message", "error"])
            or _first(error, ["message"])
            or _first(self.data, ["error_msg"])
        )

    def _kind_of_name(self) -> MediaKind | None:
        if self.is_known:
            return MEDIA[self.event_type]
        if self.outcome == "failure":
            return None
        for word in re.split("[^a-zA-Z0-9]", self.event_type):
            if word in ("gif", "gifs"):
                return "gif"
            if word in ("caption", "captions", "subtitle", "subtitles"):
                return "caption"
        return None

    def _link(self) -> tuple[str | None, str | None]:
        """The name of the field, and the link."""
        for name in _LINKS[self._kind_of_name() or "video"]:
            link = _first(self.data, [name])
            if link:
                return name, link
        return None, None

    def _clip_link(self) -> str | None:
        """The link of the first completed clip that has one. A clip without a status is judged by its link alone."""
        clips = self.data.get("clips") if isinstance(self.data, dict) else None
        for clip in clips if isinstance(clips, list) else []:
            link = _first(clip, ["video_url"])
            if link and _first(clip, ["status"]) in (None, "completed"):
                return link
        return None


_OWN_IDS = {
    "video_translate": ["video_translate_id", "video_translation_id"],
    "hyperframes_video": ["render_id", "video_id"],
    "ai_clipping": ["id"],
}
_OTHER_IDS = ["session_id", "project_id", "id", "avatar_id", "generation_id", "group_id", "proofread_id"]

_LINKS = {
    "gif": ["gif_download_url", "gif_url", "url"],
    "caption": ["caption_url", "subtitle_url", "url"],
    "video": ["url", "video_url", "video_download_url"],
}

#: The extension of a video file at the end of the last part of a path.
_VIDEO_FILE = re.compile(r"\.(?:mp4|mov|webm|m4v|mkv|avi)\Z", re.IGNORECASE)


def _first(value: object, names: Sequence[str]) -> str | None:
    """The first of ``names`` with a text or a number; an empty text counts as absent."""
    if not isinstance(value, dict):
        return None
    for name in names:
        found = value.get(name)
        if isinstance(found, str) and found and _is_well_formed(found):
            return found
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return str(found)
    return None


def _is_well_formed(text: str) -> bool:
    """Half of a surrogate pair is no text."""
    return not re.search("[\ud800-\udfff]", text)
