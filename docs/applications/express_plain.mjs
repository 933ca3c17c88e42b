import { createHmac, timingSafeEqual } from "node:crypto";

import express from "express";

const secret = process.env.HEYGEN_WEBHOOK_SECRET;
if (!secret) throw new Error("HEYGEN_WEBHOOK_SECRET is empty");
const app = express();

// HeyGen's probe.
app.options("/heygen", (request, response) => response.sendStatus(204));
// The raw bytes, before express.json() parses them.
app.post("/heygen", express.raw({ type: () => true, limit: "1mb" }), (request, response) => {
  const body = request.body ?? Buffer.alloc(0);
  const expected = Buffer.from(createHmac("sha256", secret).update(body).digest("hex"));
  const given = Buffer.from(request.get("signature") ?? "");
  const isSigned = given.length === expected.length && timingSafeEqual(given, expected);
  if (isSigned) console.log("verified:", body.toString()); // Queue it here; an event may come twice.
  response.sendStatus(isSigned ? 204 : 401);
});
app.listen(process.env.PORT ?? 3000, "127.0.0.1");
