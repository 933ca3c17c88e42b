// Route handlers for Next.js.

import { receiver, type Receiver } from "./receiver.js";

type Handler = (request: Request) => Promise<Response>;

/** The handlers of a `route.ts`: `export const { GET, HEAD, OPTIONS, POST } = heygen({ secrets, onEvent })`. */
export function heygen(options: Receiver): Readonly<Record<"GET" | "HEAD" | "OPTIONS" | "POST", Handler>> {
  const handle = receiver(options);
  return { GET: handle, HEAD: handle, OPTIONS: handle, POST: handle };
}
