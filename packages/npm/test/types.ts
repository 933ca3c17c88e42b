// Compiled, not run: a handler narrows, and is exhaustive.
import { isKnown, parse, verify, type AnyEvent, type EventType } from "heygen-webhooks";
import { heygen } from "heygen-webhooks/next";
import { heygen as express } from "heygen-webhooks/express";
import { heygen as fastify } from "heygen-webhooks/fastify";
import { createSandbox } from "heygen-webhooks/sandbox";
import createApp from "express";
import createFastify from "fastify";

function subject(event: AnyEvent): string | number | undefined {
  if (!isKnown(event)) {
    const name: string = event.event_type;
    return name;
  }
  switch (event.event_type) {
    case "avatar_video.success":
    case "avatar_video.fail":
      return event.event_data.video_id;
    case "ai_clipping.success":
      return event.event_data.clips?.map((clip) => clip.video_url).join();
    case "batch.finished":
      // @ts-expect-error: no one documents what a batch brings
      return event.event_data.video_id.length;
    default: {
      // @ts-expect-error: names are left
      const none: never = event;
      return none;
    }
  }
}

export const { GET, HEAD, OPTIONS, POST } = heygen({ secrets: process.env["SECRET"], onEvent: subject });
createApp().all("/heygen", express({ secrets: () => ["a", "b"], onEvent: async (event) => subject(event) }));
await createFastify().register(fastify, { path: "/heygen", secrets: async () => undefined, onEvent: subject });
const { secret }: { secret: number } = await verify(new Uint8Array(), new Headers(), "whsec_test");
const names: EventType[] = ["batch.finished"];
// @ts-expect-error: misspelt
names.push("batch.finish");
const sandbox = await createSandbox({ timeScale: 0 });
const delivery = (await sandbox.settled())[secret];
const state: string | undefined = delivery?.state;
const sent: AnyEvent = parse(delivery?.body ?? "");
const ids: [number | undefined, string | null | undefined] = [delivery?.delivery_id, delivery?.endpoint_id];
export { ids, names, sent, state };
