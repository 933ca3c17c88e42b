import { createHmac, timingSafeEqual } from "node:crypto";

// HeyGen's probe.
export function OPTIONS() {
  return new Response(null, { status: 204 });
}

export async function POST(request: Request) {
  const secret = process.env.HEYGEN_WEBHOOK_SECRET;
  if (!secret) return new Response(null, { status: 503 });
  const body = Buffer.from(await request.arrayBuffer()); // The raw bytes, before anything parses them.
  const expected = Buffer.from(createHmac("sha256", secret).update(body).digest("hex"));
  const given = Buffer.from(request.headers.get("signature") ?? "");
  const isSigned = given.length === expected.length && timingSafeEqual(given, expected);
  if (isSigned) console.log("verified:", body.toString()); // Queue it here; an event may come twice.
  return new Response(null, { status: isSigned ? 204 : 401 });
}
