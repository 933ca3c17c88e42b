// Webhooks and calls by the types of openapi-typescript.

import type { components, paths, webhooks } from "./openapi";

type Body<Name extends keyof webhooks> = webhooks[Name]["post"]["requestBody"]["content"]["application/json"];

export function onSuccess(body: Body<"avatar_video.success">, headers: webhooks["avatar_video.success"]["post"]["parameters"]["header"]) {
  return { id: body.event_data.video_id.toString(), signature: headers?.Signature?.length };
}

export function message(event: components["schemas"]["HeyGenWebhookEvent"]): string | null | undefined {
  switch (event.event_type) {
    case "avatar_video.fail":
      return event.event_data.msg;
    case "video_translate.fail":
      return event.event_data.message;
    default:
      return undefined;
  }
}

type Create = paths["/v3/webhooks/endpoints"]["post"];

export const create: Create["requestBody"]["content"]["application/json"] = {
  url: "https://hooks.example/heygen",
  events: ["avatar_video.success"],
};

export function secret(answer: Create["responses"]["200"]["content"]["application/json"]): string | null | undefined {
  return answer.data?.secret;
}
