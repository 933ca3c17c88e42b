// A handler for Express, and for anything else that is called with the requests of node:http.

import type { IncomingMessage, ServerResponse } from "node:http";

import { answer, read, type Receiver } from "./receiver.js";

/** What a framework may have done to a request. */
interface MaybeRead extends IncomingMessage {
  readonly body?: unknown;
  readonly rawBody?: unknown;
}

/**
 * Handles every method of a path: `app.all("/heygen", heygen({ secrets, onEvent }))`.
 *
 * Mount it before `express.json()`, or use `express.raw({ type: () => true })` on its path: the signature covers the bytes
 * as they were sent.
 */
export function heygen(
  receiver: Receiver,
): (request: IncomingMessage, response: ServerResponse, next?: (error: unknown) => void) => Promise<void> {
  return async (request, response, next) => {
    try {
      const { method = "", headers } = request;
      const body = (maxBytes: number) => rawBody(request, maxBytes);
      const given = await answer({ method, headers, body }, receiver);
      response.writeHead(given.status, given.headers).end();
    } catch (error) {
      if (next !== undefined) {
        next(error);
      } else {
        console.error(error);
        response.writeHead(500).end();
      }
    }
  };
}

async function rawBody(request: MaybeRead, maxBytes: number): Promise<Uint8Array | undefined> {
  const kept = [request.rawBody, request.body].find((body) => body instanceof Uint8Array);
  if (kept instanceof Uint8Array) {
    return kept.length > maxBytes ? undefined : kept;
  }
  if (request.readableEnded) {
    throw new Error("the body was parsed before it could be verified: mount this handler before express.json()");
  }
  return read(request, maxBytes);
}
