import { mediaUrl, outcome, subjectId } from "heygen-webhooks";
import { heygen } from "heygen-webhooks/next";

export const { GET, HEAD, OPTIONS, POST } = heygen({
  secrets: () => process.env.HEYGEN_WEBHOOK_SECRET,
  onEvent(event) {
    // Queue it here; an event may come twice.
    console.log(event.event_type, outcome(event), subjectId(event), mediaUrl(event));
  },
});
