import express from "express";
import { mediaUrl, outcome, subjectId } from "heygen-webhooks";
import { heygen } from "heygen-webhooks/express";

const app = express();
// Before express.json(): the signature covers the bytes as they were sent.
app.all("/heygen", heygen({
  secrets: process.env.HEYGEN_WEBHOOK_SECRET,
  onEvent(event) {
    // Queue it here; an event may come twice.
    console.log(event.event_type, outcome(event), subjectId(event), mediaUrl(event));
  },
}));
app.listen(process.env.PORT ?? 3000, "127.0.0.1");
