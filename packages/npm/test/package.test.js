// Against the bodies and vectors that the Rust crates answer for. HEYGEN_FIXTURES names the folder fixtures/.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

import * as esm from "heygen-webhooks";

const cjs = createRequire(import.meta.url)("heygen-webhooks");
const fixtures = process.env.HEYGEN_FIXTURES ?? join(import.meta.dirname, "../../../fixtures");
const read = (name) => readFileSync(join(fixtures, name));
const vectors = JSON.parse(read("signature-vectors.json"));
const answers = JSON.parse(read("answers.json"));

test("types are those of TypeScript 5.0: its Uint8Array has no parameter", () => {
  const folder = dirname(createRequire(import.meta.url).resolve("heygen-webhooks"));
  const files = readdirSync(folder).filter((name) => name.endsWith(".d.ts"));
  assert.ok(files.includes("signature.d.ts"));
  for (const name of files) {
    assert.doesNotMatch(readFileSync(join(folder, name), "utf8"), /Uint8Array</, name);
  }
});

for (const [kind, heygen] of Object.entries({ esm, cjs })) {
  test(`${kind}: every signature vector`, async () => {
    for (const { name, body, headers, secrets, error, diagnosis } of vectors.vectors) {
      const raw = Buffer.from(body, "base64");
      const verdict = await heygen.verify(raw, headers, secrets).then(
        (match) => ({ match }),
        ({ reason, message }) => ({ error: { reason, message } }),
      );
      const expected = error === null ? { match: { secret: diagnosis.secret } } : { error };
      assert.deepEqual(verdict, expected, name);
      const found = await heygen.diagnose(raw, headers, secrets);
      assert.deepEqual({ secret: null, ...found }, diagnosis, name);
    }
  });

  test(`${kind}: an unusable secret is an error`, async () => {
    for (const { secret, message } of vectors.unusable_secrets) {
      await assert.rejects(heygen.verify("", [], secret), { name: "TypeError", message });
    }
    await assert.rejects(heygen.verify("", [], []), { name: "TypeError", message: "there is no webhook secret" });
  });

  test(`${kind}: every body is answered as heygen-events answers it`, () => {
    for (const [path, expected] of Object.entries(answers.fixtures)) {
      check(heygen, read(path), expected, path);
    }
    for (const { body, answers: expected } of answers.bodies) {
      check(heygen, body, expected, body);
    }
  });
}

function check(heygen, body, expected, name) {
  if (expected === null) {
    assert.throws(() => heygen.parse(body), SyntaxError, name);
    return;
  }
  const event = heygen.parse(body);
  const found = {
    event_type: event.event_type,
    is_known: heygen.isKnown(event),
    outcome: heygen.outcome(event),
    subject_id: heygen.subjectId(event) ?? null,
    callback_id: heygen.callbackId(event) ?? null,
    media_url: heygen.mediaUrl(event) ?? null,
    media_kind: heygen.mediaKind(event) ?? null,
    failure_message: heygen.failureMessage(event) ?? null,
  };
  assert.deepEqual(found, expected, name);
}

test("headers come in the forms of every framework", async () => {
  const { body, headers, secrets } = vectors.vectors[0];
  const raw = Buffer.from(body, "base64");
  const signature = headers[0][1];
  const forms = [
    new Headers(headers),
    new Map(headers),
    { signature },
    { SIGNATURE: [signature], "content-type": undefined, host: null },
  ];
  for (const form of forms) {
    assert.deepEqual(await esm.verify(raw, form, secrets), { secret: 0 });
  }
  await assert.rejects(esm.verify(raw, { signature: [signature, signature] }, secrets), { reason: "ambiguous-signature" });
  await assert.rejects(esm.verify(raw, {}, secrets), { reason: "missing-signature" });
  await assert.rejects(esm.verify(raw, ["Signature", signature], secrets), { message: /not request.rawHeaders/ });
});

test("bodies come in every form", async () => {
  const { body, headers, secrets } = vectors.vectors[0];
  const raw = Buffer.from(body, "base64");
  const { buffer } = Uint8Array.from(raw);
  const elsewhere = runInNewContext("Uint8Array.from(bytes)", { bytes: [...raw] });
  const forms = [raw, Uint8Array.from(raw), buffer, new DataView(buffer), elsewhere, elsewhere.buffer, raw.toString()];
  for (const form of forms) {
    assert.deepEqual(await esm.verify(form, headers, secrets), { secret: 0 });
  }
});

test("a parsed body is an error of the program, not a wrong signature", async () => {
  const { headers, secrets } = vectors.vectors[0];
  for (const parsed of [{ event_type: "a" }, [1, 2], 1, null, undefined]) {
    const expected = { name: "TypeError", message: /before anything parses it/ };
    await assert.rejects(esm.verify(parsed, headers, secrets), expected);
    await assert.rejects(esm.diagnose(parsed, headers, secrets), expected);
    assert.throws(() => esm.parse(parsed), expected);
  }
});

test("a secret that is not set is named as such", async () => {
  const { body, headers, secrets } = vectors.vectors[0];
  const raw = Buffer.from(body, "base64");
  for (const [given, message] of [
    [undefined, /^there is no webhook secret$/],
    [null, /^there is no webhook secret$/],
    [[...secrets, undefined], /is its variable set/],
    [Buffer.from(secrets[0]), /is its variable set/],
  ]) {
    await assert.rejects(esm.verify(raw, headers, given), { name: "TypeError", message });
  }
});

test("a large body is not rewritten", async () => {
  const { secrets } = vectors.vectors[0];
  for (const [length, label] of [[65_535, "matches-reserialized-body"], [65_536, "matches-no-secret"]]) {
    const body = `["${"x".repeat(length - 4)}"]`;
    const { createHmac } = await import("node:crypto");
    const signature = createHmac("sha256", secrets[0]).update(body).digest("hex");
    assert.equal((await esm.diagnose(`${body}\n`, { signature }, secrets)).label, label);
  }
});

test("digits that no number holds are kept", () => {
  const body = '{"event_type":"a","event_data":{"a":"\\"1234567890123456789\\"","b":1234567890123456789,"c":-0.5e-7,"d":12}}';
  assert.deepEqual(esm.parse(body).event_data, { a: '"1234567890123456789"', b: "1234567890123456789", c: -0.5e-7, d: 12 });
});

test("the names are those of the schemas", () => {
  assert.equal(esm.EVENT_TYPES.length, 30);
  assert.ok(esm.EVENT_TYPES.includes("avatar_video.success"));
});
