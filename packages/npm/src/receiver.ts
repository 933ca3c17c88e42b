// Answers HeyGen's requests: probes, then verified deliveries. `receiver` takes and gives what Deno, Bun, Workers and
// Next.js do; `answer` is what it and the other frameworks share.

import { parse, type AnyEvent } from "./events.js";
import { diagnose, verify, VerifyError, type RequestHeaders, type Secrets } from "./signature.js";

/** What to do with deliveries. */
export interface Receiver {
  /**
   * The secret of the endpoint, several while one replaces another, or a function that gives them. As long as there is
   * none, deliveries get 503, and HeyGen sends them again.
   */
  readonly secrets: Secrets | undefined | (() => Secrets | undefined | Promise<Secrets | undefined>);
  /** Called for each verified event. When it throws, the delivery gets 500, and HeyGen sends it again. */
  readonly onEvent: (event: AnyEvent, rawBody: Uint8Array) => unknown;
  /** Called for a verified body that is no event, which is acknowledged. By default it is a line in the log. */
  readonly onUnreadable?: (rawBody: Uint8Array, error: Error) => unknown;
  /** Called for each request that is rejected, but for the 413 of Fastify. By default it is a line in the log. */
  readonly onRejected?: (rejection: Rejection) => unknown;
  /** A larger body gets 413. By default 1 MiB. */
  readonly maxBodyBytes?: number;
}

/** A request that was rejected. */
export interface Rejection {
  readonly status: 401 | 413 | 503;
  /** Why, for the operator. At most once a second this is what `diagnose` finds. */
  readonly message: string;
}

export interface IncomingRequest {
  readonly method: string;
  readonly headers: RequestHeaders;
  /** Reads the body; `undefined` when it is larger than this. */
  readonly body: (maxBytes: number) => Promise<Uint8Array | undefined>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Handles one request. Rejects only with what `onEvent` and the other functions of the receiver throw. */
export async function answer(request: IncomingRequest, receiver: Receiver): Promise<Answer> {
  if (["OPTIONS", "GET", "HEAD"].includes(request.method)) {
    return { status: 204, headers: { allow: ALLOW } };
  }
  if (request.method !== "POST") {
    return { status: 405, headers: { allow: ALLOW } };
  }
  const rejected = async (status: Rejection["status"], message: string): Promise<Answer> => {
    await (receiver.onRejected ?? logRejection)({ status, message });
    return { status, headers: status === 503 ? { "retry-after": "60" } : {} };
  };
  const { secrets: given } = receiver;
  const secrets = typeof given === "function" ? await given() : given;
  if (secrets === undefined || secrets.length === 0) {
    return rejected(503, "there is no webhook secret");
  }
  const rawBody = await request.body(receiver.maxBodyBytes ?? MAX_BODY_BYTES);
  if (rawBody === undefined) {
    return rejected(413, "the body is too large");
  }
  try {
    await verify(rawBody, request.headers, secrets);
  } catch (error) {
    if (!(error instanceof VerifyError)) {
      throw error;
    }
    const { message } = mayDiagnose() ? await diagnose(rawBody, request.headers, secrets) : error;
    return rejected(401, message);
  }
  let event: AnyEvent;
  try {
    event = parse(rawBody);
  } catch (error) {
    await (receiver.onUnreadable ?? logUnreadable)(rawBody, error as Error);
    return { status: 200, headers: {} };
  }
  await receiver.onEvent(event, rawBody);
  return { status: 200, headers: {} };
}

/** A handler of `Request`s, for `Deno.serve`, `Bun.serve`, and `fetch` of a Worker. */
export function receiver(receiver: Receiver): (request: Request) => Promise<Response> {
  return async (request) => {
    const { method, headers } = request;
    const body = (maxBytes: number) => read(request.body ?? [], maxBytes);
    const given = await answer({ method, headers, body }, receiver);
    return new Response(null, given);
  };
}

/** Reads a stream to its end, and keeps it unless it is too large. */
export async function read(
  stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // To the end: a sender that cannot send all of its body may not read the answer.
  for await (const chunk of stream) {
    length += chunk.length;
    if (length <= maxBytes) {
      chunks.push(chunk);
    }
  }
  if (length > maxBytes) {
    return undefined;
  }
  const body = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}

/** A diagnosis is a hundred times slower than a check, and anyone can cause one. */
function mayDiagnose(): boolean {
  const now = Date.now();
  const may = Math.abs(now - diagnosedAt) >= 1000;
  if (may) {
    diagnosedAt = now;
  }
  return may;
}

let diagnosedAt = 0;

function logRejection({ status, message }: Rejection): void {
  console.warn(`webhook rejected with ${status}: ${message}`);
}

function logUnreadable(_rawBody: Uint8Array, error: Error): void {
  console.warn(`signed body is no event, acknowledged: ${error.message}`);
}

const ALLOW = "GET, HEAD, OPTIONS, POST";

export const MAX_BODY_BYTES = 1024 * 1024;
