import fastify from "fastify";
import { mediaUrl, outcome, subjectId } from "heygen-webhooks";
import { heygen } from "heygen-webhooks/fastify";

const app = fastify();
app.register(heygen, {
  path: "/heygen",
  secrets: process.env.HEYGEN_WEBHOOK_SECRET,
  onEvent(event) {
    // Queue it here; an event may come twice.
    console.log(event.event_type, outcome(event), subjectId(event), mediaUrl(event));
  },
});
await app.listen({ port: Number(process.env.PORT ?? 3000) });
