// A handler of every event. It compiles while an event is told by its name, and fails when a name is added that has no case.

import type { AvatarVideoSuccessEvent, HeyGenWebhookEvent, UntypedData } from "./types";

type Link = string | null | undefined;

export function link(event: HeyGenWebhookEvent): Link {
  switch (event.event_type) {
    case "avatar_video.success":
    case "avatar_video_gif.success":
      return event.event_data.url ?? event.event_data.gif_download_url;
    case "avatar_video.fail":
    case "avatar_video_gif.fail":
    case "video_agent.fail":
      return event.event_data.msg;
    case "avatar_video_caption.success":
      return event.event_data.caption_url;
    case "video_agent.success":
      return event.event_data.url;
    case "video_translate.success":
      return event.event_data.url;
    case "video_translate.fail":
      return event.event_data.message;
    case "personalized_video":
      return event.event_data.video_url;
    case "hyperframes_video.success":
    case "hyperframes_video.fail":
      return event.event_data.video_url;
    case "ai_clipping.success":
    case "ai_clipping.fail":
      return event.event_data.clips?.find((clip) => clip.video_url)?.video_url;
    case "avatar_video_caption.fail":
    case "video_translate.preflight.validation_failed":
    case "video_translate.preflight.download_failed":
    case "instant_avatar.success":
    case "instant_avatar.fail":
    case "photo_avatar_generation.success":
    case "photo_avatar_generation.fail":
    case "photo_avatar_train.success":
    case "photo_avatar_train.fail":
    case "photo_avatar_add_motion.success":
    case "photo_avatar_add_motion.fail":
    case "proofread_creation.success":
    case "proofread_creation.fail":
    case "live_avatar.success":
    case "live_avatar.fail":
    case "batch.finished":
      return untyped(event.event_data);
    default: {
      const never: never = event;
      return never;
    }
  }
}

function untyped(data: UntypedData): Link {
  const id = data["video_id"];
  return typeof id === "string" ? id : undefined;
}

// The id is required, and a number is one too.
export function id(event: AvatarVideoSuccessEvent): string {
  return event.event_data.video_id.toString();
}
