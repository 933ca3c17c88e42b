import { createHmac, timingSafeEqual } from "node:crypto";

import fastify from "fastify";

const secret = process.env.HEYGEN_WEBHOOK_SECRET;
if (!secret) throw new Error("HEYGEN_WEBHOOK_SECRET is empty");
const app = fastify();
// The raw bytes, before anything parses them. In an application with other routes, do this in a plugin.
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (request, body, done) => done(null, body));

app.options("/heygen", (request, reply) => reply.code(204).send()); // HeyGen's probe.
app.post("/heygen", (request, reply) => {
  const body = request.body ?? Buffer.alloc(0);
  const expected = Buffer.from(createHmac("sha256", secret).update(body).digest("hex"));
  const given = Buffer.from(request.headers.signature ?? "");
  const isSigned = given.length === expected.length && timingSafeEqual(given, expected);
  if (isSigned) console.log("verified:", body.toString()); // Queue it here; an event may come twice.
  return reply.code(isSigned ? 204 : 401).send();
});
await app.listen({ port: Number(process.env.PORT ?? 3000) });
