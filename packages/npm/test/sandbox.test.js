// The sandbox needs the binary: HEYGEN_WEBHOOKS_BIN, or heygen-webhooks on the PATH.
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { parse } from "heygen-webhooks";
import { heygen } from "heygen-webhooks/express";
import { createSandbox } from "heygen-webhooks/sandbox";

test("the sandbox sends what is verified", async () => {
  const sandbox = await createSandbox({ timeScale: 0 });
  const events = [];
  let secrets;
  const server = createServer(heygen({ secrets: () => secrets, onEvent: (event) => events.push(event) }));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const url = `http://127.0.0.1:${server.address().port}/heygen`;
    secrets = (await sandbox.register(url, ["avatar_video.success"])).secret;
    const sent = await sandbox.send({ event_type: "avatar_video.success", data: { callback_id: "order-42" } });
    assert.equal(sent.deliveries, 1);
    const [delivery] = await sandbox.settled();
    assert.deepEqual([delivery.state, delivery.attempts.map(({ status }) => status)], ["delivered", [200]]);
    assert.equal(events[0].event_data.callback_id, "order-42");
    assert.deepEqual([typeof delivery.delivery_id, typeof delivery.endpoint_id], ["number", "string"]);
    assert.deepEqual(parse(delivery.body), events[0]);
    await sandbox.send({ event_type: "avatar_video.success", callback_url: url });
    const callback = (await sandbox.settled()).find(({ endpoint_id }) => endpoint_id === null);
    assert.equal(callback?.event_type, "avatar_video.success");
    await sandbox.reset();
    secrets = (await sandbox.register(url, ["avatar_video.success"])).secret;
    events.length = 1;
    assert.equal((await sandbox.send("batch.finished")).deliveries, 0);

    await sandbox.misbehave({ duplicates: 1 });
    await sandbox.send("avatar_video.success");
    await sandbox.settled();
    assert.equal(events.length, 3);
    await sandbox.reset();
    assert.deepEqual(await sandbox.deliveries(), []);
    await assert.rejects(sandbox.misbehave({ nonsense: 1 }), /answered 4.*nonsense/);
  } finally {
    server.close();
    await sandbox.close();
  }
  await assert.rejects(sandbox.deliveries());
});

test("a secret may be known before, and what is pending is an error", async () => {
  const sandbox = await createSandbox({ secret: "whsec_known" });
  const server = createServer((request, response) => response.writeHead(request.method === "OPTIONS" ? 204 : 500).end());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const endpoint = await sandbox.register(`http://127.0.0.1:${server.address().port}/heygen`);
    assert.equal(endpoint.secret, "whsec_known");
    await sandbox.send("avatar_video.success");
    await assert.rejects(sandbox.settled(1), /answered 408/);
  } finally {
    server.close();
    await sandbox.close();
  }
});

test("a missing binary is an error that says what to do", async () => {
  await assert.rejects(createSandbox({ binary: "no-such-binary" }), /put heygen-webhooks on the PATH/);
});

/** A program in place of the binary. */
function script(text) {
  const binary = join(mkdtempSync(join(tmpdir(), "heygen-")), "binary");
  writeFileSync(binary, `#!/bin/sh\n${text}\n`);
  chmodSync(binary, 0o700);
  return binary;
}

test("the sandbox has no settings of the application", async () => {
  const names = ["HEYGEN_WEBHOOK_SECRET", "HEYGEN_WEBHOOKS_SECRET_FILE", "HEYGEN_WEBHOOKS_SANDBOX_KEY", "HEYGEN_API_KEY"];
  const before = names.map((name) => process.env[name]);
  names.forEach((name) => (process.env[name] = "of the application"));
  try {
    const binary = script(`env | grep ^HEYGEN_ > "$0.seen"\necho '{"url":"http://127.0.0.1:1"}'\ncat > /dev/null`);
    await (await createSandbox({ binary })).close();
    assert.equal(readFileSync(`${binary}.seen`, "utf8"), "");
    await (await createSandbox({ binary, secret: "whsec_known" })).close();
    assert.equal(readFileSync(`${binary}.seen`, "utf8"), "HEYGEN_WEBHOOK_SECRET=whsec_known\n");
  } finally {
    names.forEach((name, index) => {
      if (before[index] === undefined) {
        delete process.env[name];
      } else {
        process.env[name] = before[index];
      }
    });
  }
});

test("a program that does not listen is an error, and ends", async () => {
  const binary = script(`echo $$ > "$0.pid"\necho hello\nexec sleep 600`);
  await assert.rejects(createSandbox({ binary }), /does not say where it listens, but: hello/);
  assert.throws(() => process.kill(Number(readFileSync(`${binary}.pid`, "utf8")), 0), { code: "ESRCH" });
});

test("an empty HEYGEN_WEBHOOKS_BIN is none", async () => {
  const { HEYGEN_WEBHOOKS_BIN, PATH } = process.env;
  const restore = (name, value) => (value === undefined ? delete process.env[name] : (process.env[name] = value));
  Object.assign(process.env, { HEYGEN_WEBHOOKS_BIN: "", PATH: mkdtempSync(join(tmpdir(), "empty-")) });
  try {
    await assert.rejects(createSandbox(), /^Error: heygen-webhooks does not start/);
  } finally {
    restore("HEYGEN_WEBHOOKS_BIN", HEYGEN_WEBHOOKS_BIN);
    restore("PATH", PATH);
  }
});
