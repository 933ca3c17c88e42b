// Verifies the signature of a request, and finds out why it does not verify, as the crate heygen-signature does.

import { rewritings } from "./rewritings.js";

/** A body as it was sent, before anything parsed it. */
export type RawBody = Uint8Array | ArrayBuffer | string;

/** The headers of a request, as any framework has them. */
export type RequestHeaders =
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** One or more secrets, exactly as HeyGen returned them: the prefix `whsec_` is part of the key. */
export type Secrets = string | readonly string[];

/** Why a request does not verify. */
export type Reason =
  | "missing-signature"
  | "malformed-signature"
  | "ambiguous-signature"
  | "signature-mismatch";

/** The error of a request that does not verify: answer 401. */
export class VerifyError extends Error {
  override readonly name = "VerifyError";
  readonly reason: Reason;

  constructor(reason: Reason) {
    super(MESSAGES[reason]);
    this.reason = reason;
  }
}

const MESSAGES: Record<Reason, string> = {
  "missing-signature": "no signature header",
  "malformed-signature": "the signature header is not 64 hexadecimal digits",
  "ambiguous-signature": "more than one signature in the headers",
  "signature-mismatch": "the signature matches no secret",
};

/** Which secret signed a body: its index, from 0. */
export interface Match {
  readonly secret: number;
}

/**
 * Checks that HeyGen signed this body; rejects with `VerifyError` otherwise.
 *
 * `rawBody` must be the bytes as they were sent: a body that was parsed and serialized again has other bytes. Every
 * secret is tried, each in constant time. A delivery to the `callback_url` of a single job is never signed.
 *
 * An empty secret, or a list without any, is a `TypeError`.
 */
export async function verify(rawBody: RawBody, headers: RequestHeaders, secrets: Secrets): Promise<Match> {
  const keys = await Promise.all(usable(secrets).map(bytes).map(importKey));
  const signature = new SignatureHeaders(headers).signature();
  const match = await matching(bytes(rawBody), signature, keys);
  if (match === undefined) {
    throw new VerifyError("signature-mismatch");
  }
  return match;
}

/** What is wrong with the signature of a request. */
export interface Diagnosis {
  /** A stable word for metrics and programs. */
  readonly label: DiagnosisLabel;
  /** What to do about it, in one sentence. */
  readonly message: string;
  /** The secret that it is about: its index, from 0. The message counts from 1. */
  readonly secret?: number;
}

export type DiagnosisLabel = keyof typeof DIAGNOSES;

const DIAGNOSES = {
  verified: (secret) => `the signature matches ${secret}`,
  "no-signature-header": () =>
    "no signature header: it is a callback_url delivery, or not from HeyGen, or a proxy removed the header; " +
    "let the proxy pass Signature on",
  "only-x-heygen-signature": () =>
    "only X-HeyGen-Signature is present, which HeyGen does not send: let the sender use Signature",
  "ambiguous-signature": () =>
    "more than one signature in the headers: find the proxy that adds or joins headers",
  "not-hex": () =>
    "the signature is not 64 hexadecimal digits: let the sender write the HMAC-SHA256 in hexadecimal",
  "sha256-prefix": () =>
    "the signature begins with sha256=, which HeyGen's do not: let the sender omit the prefix",
  "matches-trimmed-secret": (secret) => `${secret} has white space or quotes around it: remove them`,
  "matches-secret-without-prefix": (secret) =>
    `the sender used ${secret} without whsec_, which is part of the key: let the sender keep it`,
  "matches-secret-with-prefix": (secret) =>
    `${secret} lacks the prefix whsec_ that it was issued with: configure it with the prefix`,
  "matches-base64-decoded-secret": (secret) =>
    `the sender base64-decoded ${secret}, which HeyGen does not: let the sender use its text as the key`,
  "matches-reserialized-body": (secret) =>
    `${secret} signed this body in another spelling: verify the raw bytes, before anything parses and ` +
    "serializes them again",
  "matches-no-secret": () =>
    "the signature matches no secret: compare with the secret that HeyGen issued last for this endpoint; " +
    "or the body was altered, or HeyGen did not send it",
} satisfies Record<string, (secret: string) => string>;

function diagnosis(label: DiagnosisLabel, secret?: number): Diagnosis {
  const message = DIAGNOSES[label](`secret ${(secret ?? 0) + 1}`);
  return secret === undefined ? { label, message } : { label, message, secret };
}

/**
 * Verifies a request as `verify` does and, when it fails, finds out what went wrong.
 *
 * For the operator's log, never for the sender. It tries other keys and some fifty other spellings of the body, so limit
 * how often a sender can cause it. Only the label `verified` means that the request verifies.
 */
export async function diagnose(rawBody: RawBody, headers: RequestHeaders, secrets: Secrets): Promise<Diagnosis> {
  const texts = usable(secrets);
  const body = bytes(rawBody);
  const found = new SignatureHeaders(headers);
  let signature: Bytes;
  try {
    signature = found.signature();
  } catch (error) {
    switch (error instanceof VerifyError && error.reason) {
      case "missing-signature":
        return diagnosis(found.hasXHeyGenSignature ? "only-x-heygen-signature" : "no-signature-header");
      case "ambiguous-signature":
        return diagnosis("ambiguous-signature");
      case "malformed-signature":
        return diagnosis(/^sha256=/i.test(found.value()) ? "sha256-prefix" : "not-hex");
      default:
        throw error;
    }
  }
  const keys = await Promise.all(texts.map(bytes).map(importKey));
  const match = await matching(body, signature, keys);
  if (match !== undefined) {
    return diagnosis("verified", match.secret);
  }
  for (const [index, text] of texts.entries()) {
    for (const [label, key] of otherKeys(text)) {
      if (key.length > 0 && (await matching(body, signature, [await importKey(key)]))) {
        return diagnosis(label, index);
      }
    }
  }
  for (const spelling of otherSpellings(body)) {
    const match = await matching(bytes(spelling), signature, keys);
    if (match !== undefined) {
      return diagnosis("matches-reserialized-body", match.secret);
    }
  }
  return diagnosis("matches-no-secret");
}

/** The ways in which either side gets a secret wrong. */
function* otherKeys(secret: string): Generator<[DiagnosisLabel, Bytes]> {
  const trimmed = trim(trim(secret).replace(/^["']+|["']+$/g, ""));
  yield ["matches-trimmed-secret", bytes(trimmed)];
  const bare = trimmed.startsWith(PREFIX) ? trimmed.slice(PREFIX.length) : undefined;
  if (bare !== undefined) {
    yield ["matches-secret-without-prefix", bytes(bare)];
  } else {
    yield ["matches-secret-with-prefix", bytes(PREFIX + trimmed)];
  }
  const digits = (bare ?? trimmed).replace(/=+$/, "").replaceAll("-", "+").replaceAll("_", "/");
  if (/^[A-Za-z0-9+/]*$/.test(digits) && digits.length % 4 !== 1) {
    yield ["matches-base64-decoded-secret", Uint8Array.from(atob(digits), (char) => char.charCodeAt(0))];
  }
}

/** Without white space, byte order marks and zero-width characters, which editors leave unseen. */
function trim(text: string): string {
  return text.replace(/^[\s\u0085\ufeff\u200b-\u200d\u2060]+|[\s\u0085\ufeff\u200b-\u200d\u2060]+$/g, "");
}

/** The spellings of the body that common programs write, if it is small enough. */
function otherSpellings(body: Bytes): Iterable<string> {
  if (body.length > MAX_REWRITTEN_BYTES) {
    return [];
  }
  try {
    return rewritings(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    return [];
  }
}

/** So that one request cannot cause much work. */
const MAX_REWRITTEN_BYTES = 64 * 1024;

const PREFIX = "whsec_";

/** The values of each header name that matters. A list in one value counts as several. */
class SignatureHeaders {
  readonly #values = new Map<string, string[]>();

  constructor(headers: RequestHeaders) {
    const pairs = Symbol.iterator in headers ? headers : Object.entries(headers);
    for (const pair of pairs as Iterable<readonly [string, string | readonly string[] | null | undefined]>) {
      if (typeof pair === "string") {
        throw new TypeError("the headers are not pairs: give request.headers, not request.rawHeaders");
      }
      const [name, value] = pair;
      const values = typeof value === "string" ? [value] : (value ?? []);
      const key = name.toLowerCase();
      this.#values.set(key, [...(this.#values.get(key) ?? []), ...values]);
    }
  }

  get hasXHeyGenSignature(): boolean {
    return this.#of("x-heygen-signature").length > 0;
  }

  /** The value that decides, not yet parsed: `Heygen-Signature` is used only if there is no `Signature`. */
  value(): string {
    const named = this.#of("signature");
    const [value, ...others] = named.length > 0 ? named : this.#of("heygen-signature");
    if (value === undefined) {
      throw new VerifyError("missing-signature");
    }
    if (others.length > 0 || value.includes(",")) {
      throw new VerifyError("ambiguous-signature");
    }
    return value.replace(/^[ \t]+|[ \t]+$/g, "");
  }

  signature(): Bytes {
    const value = this.value();
    if (!/^[0-9a-fA-F]{64}$/.test(value)) {
      throw new VerifyError("malformed-signature");
    }
    return Uint8Array.from(value.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  }

  #of(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

/** Which key signed the body. Every key is tried, also after one has matched; Web Crypto compares in constant time. */
async function matching(body: Bytes, signature: Bytes, keys: readonly CryptoKey[]): Promise<Match | undefined> {
  const verdicts = await Promise.all(keys.map((key) => crypto.subtle.verify("HMAC", key, signature, body)));
  const secret = verdicts.indexOf(true);
  return secret < 0 ? undefined : { secret };
}

function importKey(key: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function usable(secrets: Secrets): readonly string[] {
  // Who writes JavaScript may give what is undefined, such as a variable that is not set.
  const texts: readonly string[] = typeof secrets === "string" ? [secrets] : (secrets ?? []);
  if (texts.length === 0) {
    throw new TypeError("there is no webhook secret");
  }
  for (const text of texts) {
    if (typeof text !== "string") {
      throw new TypeError("a webhook secret is not a string: is its variable set?");
    }
    if (/^(?:whsec_)*$/.test(text.trim())) {
      throw new TypeError("the webhook secret is empty");
    }
  }
  return texts;
}

/** @internal TypeScript before 5.7 cannot read it. */
type Bytes = Uint8Array<ArrayBuffer>;

/** @internal */
export function bytes(body: RawBody): Bytes {
  if (typeof body === "string") {
    return new TextEncoder().encode(body);
  }
  // Not `instanceof`, which tells nothing of what another realm made, such as that of a test runner.
  if (ArrayBuffer.isView(body)) {
    return Uint8Array.from(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
  }
  if (Object.prototype.toString.call(body) === "[object ArrayBuffer]") {
    return new Uint8Array(body);
  }
  throw new TypeError("the body is not text or bytes as they were sent: give it before anything parses it");
}
