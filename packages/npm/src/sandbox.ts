// Starts `heygen-webhooks sandbox`, which plays HeyGen, for tests. Node.js, Deno and Bun only.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** An endpoint at the sandbox. */
export interface Endpoint {
  readonly endpoint_id: string;
  readonly url: string;
  readonly events: readonly string[] | null;
  readonly secret: string;
}

/** What to send: the sample of an event type, with changes. */
export interface SandboxEvent {
  readonly event_type: string;
  /** Fields of the data to set; a name with dots goes deeper (`clips.0.status`). */
  readonly data?: Readonly<Record<string, unknown>>;
  /** Fields of the data to remove. */
  readonly without?: readonly string[];
  readonly event_id?: string;
  readonly entity_id?: string;
  readonly callback_url?: string;
}

/** One event on its way to one endpoint. */
export interface SandboxDelivery {
  readonly delivery_id: number;
  readonly event_id: string;
  readonly event_type: string;
  /** `null` for the callback of one request, which no endpoint registered. */
  readonly endpoint_id: string | null;
  readonly state: "held" | "pending" | "delivered" | "given_up" | "cancelled";
  readonly attempts: readonly SandboxAttempt[];
  /** What was signed and sent, for `parse`. */
  readonly body: string;
  readonly [field: string]: unknown;
}

export interface SandboxAttempt {
  readonly url: string;
  /** `null` if no answer was read. */
  readonly status: number | null;
  readonly error: string | null;
  readonly duplicate: boolean;
  readonly duration_ms: number;
  readonly [field: string]: unknown;
}

export interface SandboxOptions {
  /** The binary. By default `HEYGEN_WEBHOOKS_BIN`, or else `heygen-webhooks` on the PATH. */
  readonly binary?: string;
  /** Shortens the waits between attempts; at 0 nothing waits. */
  readonly timeScale?: number;
  /** The secret of every endpoint, for a receiver that reads its own at its start. By default each gets a new one. */
  readonly secret?: string;
}

/** Starts a sandbox on a free port. It ends with this process, or when it is closed. */
export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  // Its variables are options too, and the application's own settings are none of a sandbox.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HEYGEN_")));
  if (options.secret !== undefined) {
    env["HEYGEN_WEBHOOK_SECRET"] = options.secret;
  }
  const binary = options.binary || process.env["HEYGEN_WEBHOOKS_BIN"] || "heygen-webhooks";
  const words = ["sandbox", "--listen", "127.0.0.1:0", "--json", "--until-stdin-closes"];
  if (options.timeScale !== undefined) {
    words.push("--time-scale", String(options.timeScale));
  }
  const child = spawn(binary, words, { env, stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  exited.catch(() => {});
  await Promise.race([once(child, "spawn"), once(child, "error").then(([error]) => Promise.reject(error))]).catch(
    (error: unknown) => {
      const advice = "put heygen-webhooks on the PATH, or name it in HEYGEN_WEBHOOKS_BIN";
      throw new Error(`${binary} does not start: ${advice}`, { cause: error });
    },
  );
  // Read to its end, so that the pipe never fills.
  const lines = createInterface(child.stdout);
  const first = await Promise.race([once(lines, "line"), exited.then(() => undefined)]);
  if (first === undefined) {
    throw new Error(`${binary} sandbox ended before it listened`);
  }
  const url = listening(first[0] as string);
  if (url === undefined) {
    child.kill("SIGKILL");
    await exited;
    throw new Error(`${binary} sandbox does not say where it listens, but: ${first[0]}`);
  }
  // Neither keeps the process alive: a test that forgets to close still ends.
  child.unref();
  for (const stream of [child.stdin, child.stdout] as unknown as { unref?: () => void }[]) {
    stream.unref?.();
  }
  return new Sandbox(url, async () => {
    child.ref();
    child.stdin.end();
    await exited;
  });
}

/** The address in the first line that a sandbox prints. */
function listening(line: string): string | undefined {
  try {
    return (JSON.parse(line) as { url?: string } | null)?.url;
  } catch {
    return undefined;
  }
}

/** A running sandbox. */
export class Sandbox {
  /** Replaces `https://api.heygen.com` in a client. Any API key is good. */
  readonly url: string;
  readonly #end: () => Promise<void>;

  constructor(url: string, end: () => Promise<void>) {
    this.url = url;
    this.#end = end;
  }

  /** Registers a receiver, which must answer `OPTIONS`, and gives its secret. */
  async register(url: string, events?: readonly string[]): Promise<Endpoint> {
    return this.#call("POST", "/v3/webhooks/endpoints", events === undefined ? { url } : { url, events });
  }

  /** Sends an event in the background; `settled` waits for it. */
  async send(event: string | SandboxEvent): Promise<{ readonly event_id: string; readonly deliveries: number }> {
    return this.#call("POST", "/sandbox/events", typeof event === "string" ? { event_type: event } : event);
  }

  /** Every delivery so far. */
  async deliveries(): Promise<readonly SandboxDelivery[]> {
    return this.#call("GET", "/sandbox/deliveries");
  }

  /** Every delivery, once all have ended. What is pending after so many seconds is an error. */
  async settled(timeout = 30): Promise<readonly SandboxDelivery[]> {
    return this.#call("GET", `/sandbox/settled?timeout=${timeout}`);
  }

  /** Misbehaves from now on, in the ways that docs/sandbox.md lists; `{}` behaves again. */
  async misbehave(misbehaviour: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#call("POST", "/sandbox/misbehave", misbehaviour);
  }

  /** Deletes everything, and ends every delivery. */
  async reset(): Promise<void> {
    await this.#call("POST", "/sandbox/reset");
  }

  /** Ends it. */
  close(): Promise<void> {
    return this.#end();
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      headers: { "x-api-key": "sandbox", "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    }
    return text === "" ? (undefined as T) : (JSON.parse(text) as { data: T }).data;
  }
}
