// Webhooks and calls by hey-api's types and client.

import { createWebhookEndpoint, sandboxSendEvent, sandboxSettled } from "./client/sdk.gen";
import type { HeyGenWebhookEvent, Webhooks } from "./client/types.gen";

export function message(event: HeyGenWebhookEvent): string | null | undefined {
  switch (event.event_type) {
    case "avatar_video.fail":
      return event.event_data.msg;
    case "video_translate.fail":
      return event.event_data.message;
    default:
      return undefined;
  }
}

export function id(delivery: Webhooks): string | undefined {
  return delivery.body.event_type === "avatar_video.success" ? delivery.body.event_data.video_id.toString() : undefined;
}

export async function tryOut(): Promise<string[]> {
  await createWebhookEndpoint({ body: { url: "https://hooks.example/heygen", events: ["avatar_video.success"] } });
  await sandboxSendEvent({ body: { event_type: "avatar_video.success" } });
  const { data } = await sandboxSettled();
  return data?.data.map((delivery) => delivery.state) ?? [];
}
