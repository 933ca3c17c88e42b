// Parses a body, and answers what callers want to know under one name for every event, as the crate heygen-events does.

import { MEDIA } from "./names.js";
import { bytes, type RawBody } from "./signature.js";
import type { HeyGenWebhookEvent } from "./types.js";

export type EventType = HeyGenWebhookEvent["event_type"];
export type Outcome = "success" | "failure" | "other";
export type MediaKind = "video" | "gif" | "caption";

/** An event whose name may be known. `isKnown` tells, and narrows the type. */
export type AnyEvent = HeyGenWebhookEvent | UnknownEvent;

/** An event whose name this version does not know, or any event, as far as the questions below need it. */
export interface UnknownEvent {
  readonly event_type: string;
  readonly event_data?: unknown;
  readonly event_id?: string | number | null;
  readonly created_at?: string | number | null;
  readonly [field: string]: unknown;
}

/** Every event that HeyGen documents by name. HeyGen adds names about every month. */
export const EVENT_TYPES = Object.freeze(Object.keys(MEDIA)) as readonly EventType[];

/**
 * Whether this version knows the event's name. The type of its data is what HeyGen documents; a body that differs from
 * it is passed on as it is, so read fields with `?.` where that would break you.
 */
export function isKnown(event: AnyEvent): event is HeyGenWebhookEvent;
export function isKnown(event: UnknownEvent): boolean;
export function isKnown(event: UnknownEvent): boolean {
  return Object.hasOwn(MEDIA, event.event_type);
}

/**
 * Parses a verified body. Throws `SyntaxError` when it is not JSON, or no object with a name.
 *
 * Integers that JavaScript cannot hold become text with the same digits, because ids may be such numbers. A name under
 * `event` is given as `event_type`.
 */
export function parse(rawBody: RawBody): AnyEvent {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const body = bytes(rawBody);
  let json: string;
  try {
    json = text.decode(body);
  } catch {
    throw new SyntaxError("the body is not UTF-8");
  }
  let value: unknown = JSON.parse(json);
  if (/\d{16}/.test(json)) {
    value = JSON.parse(json.replace(STRINGS_AND_NUMBERS, exact));
  }
  if (!isObject(value)) {
    throw new SyntaxError("the body is not an object");
  }
  const name = [value.event_type, value.event].find((name) => typeof name === "string" && isWellFormed(name));
  if (name === undefined) {
    throw new SyntaxError("event_type is missing or not a string");
  }
  value.event_type = name;
  return value as unknown as AnyEvent;
}

const STRINGS_AND_NUMBERS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function exact(token: string): string {
  const isInexact = /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token));
  return isInexact ? `"${token}"` : token;
}

/** How the job ended, according to the name. */
export function outcome(event: UnknownEvent): Outcome {
  const name = event.event_type;
  const last = name.slice(name.lastIndexOf(".") + 1);
  if (name === "personalized_video") {
    return "success";
  }
  if (!name.includes(".")) {
    return "other";
  }
  if (last === "success") {
    return "success";
  }
  return last === "fail" || last.endsWith("failed") ? "failure" : "other";
}

/** What the event is about: the id of the video, translation, render, job, … A number is given as its digits. */
export function subjectId(event: UnknownEvent): string | undefined {
  const subject = event.event_type.split(".", 1)[0] ?? "";
  return first(event.event_data, [
    ...(OWN_IDS.get(subject) ?? []),
    "video_id",
    "video_translate_id",
    "render_id",
    `${subject}_id`,
    "session_id",
    "project_id",
    "id",
    "avatar_id",
    "generation_id",
    "group_id",
    "proofread_id",
  ]);
}

const OWN_IDS: ReadonlyMap<string, readonly string[]> = new Map([
  ["video_translate", ["video_translate_id", "video_translation_id"]],
  ["hyperframes_video", ["render_id", "video_id"]],
  ["ai_clipping", ["id"]],
]);

/** The `callback_id` given when the job was started. */
export function callbackId(event: UnknownEvent): string | undefined {
  return first(event.event_data, ["callback_id"]) ?? first(event, ["callback_id"]);
}

/**
 * The link to the result: the preview for a gif event, the captions for a caption event, otherwise the video.
 *
 * Links are presigned: they expire, and anyone who has one can use it. A success may come without one.
 */
export function mediaUrl(event: UnknownEvent): string | undefined {
  switch (outcome(event)) {
    case "failure":
      return undefined;
    case "success":
      return link(event)?.url ?? clipUrl(event.event_data);
    case "other":
      return link(event)?.url;
  }
}

/** What `mediaUrl` links to, if known; known from the name also without a link. */
export function mediaKind(event: UnknownEvent): MediaKind | undefined {
  const kind = kindOfName(event);
  if (kind !== undefined || isKnown(event) || outcome(event) === "failure") {
    return kind;
  }
  const found = link(event);
  const isVideo = found?.field === "video_url" || VIDEO_FILE.test(found?.url.split(/[?#]/, 1)[0] ?? "");
  return isVideo ? "video" : undefined;
}

/** The extension of a video file at the end of the last part of a path. */
const VIDEO_FILE = /\.(?:mp4|mov|webm|m4v|mkv|avi)$/i;

/** Why the job failed, for a person to read. The wording is not stable. */
export function failureMessage(event: UnknownEvent): string | undefined {
  if (outcome(event) === "success") {
    return undefined;
  }
  const data = event.event_data;
  return (
    first(data, ["msg", "message", "failure_message", "error_message", "error"]) ??
    first(isObject(data) ? data.error : undefined, ["message"]) ??
    first(data, ["error_msg"])
  );
}

function kindOfName(event: UnknownEvent): MediaKind | undefined {
  if (isKnown(event)) {
    return MEDIA[event.event_type as EventType] ?? undefined;
  }
  if (outcome(event) === "failure") {
    return undefined;
  }
  const words = event.event_type.split(/[^a-zA-Z0-9]/);
  const word = words.find((word) => /^(?:gifs?|captions?|subtitles?)$/.test(word));
  return word === undefined ? undefined : word.startsWith("gif") ? "gif" : "caption";
}

function link(event: UnknownEvent): { field: string; url: string } | undefined {
  for (const field of LINKS[kindOfName(event) ?? "video"]) {
    const url = first(event.event_data, [field]);
    if (url !== undefined) {
      return { field, url };
    }
  }
  return undefined;
}

const LINKS = {
  gif: ["gif_download_url", "gif_url", "url"],
  caption: ["caption_url", "subtitle_url", "url"],
  video: ["url", "video_url", "video_download_url"],
} as const;

/** The link of the first completed clip that has one. A clip without a status is judged by its link alone. */
function clipUrl(data: unknown): string | undefined {
  const clips = isObject(data) && Array.isArray(data.clips) ? data.clips : [];
  const usable = clips.filter((clip) => (first(clip, ["status"]) ?? "completed") === "completed");
  return usable.map((clip) => first(clip, ["video_url"])).find((url) => url !== undefined);
}

/** The first of `names` with a text or a number; an empty text counts as absent. */
function first(object: unknown, names: readonly string[]): string | undefined {
  if (!isObject(object)) {
    return undefined;
  }
  for (const name of names) {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    if (typeof value === "number" || (typeof value === "string" && value !== "" && isWellFormed(value))) {
      return String(value);
    }
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Half of a surrogate pair is no text. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
