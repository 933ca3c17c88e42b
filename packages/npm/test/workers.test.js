// In the runtime of Cloudflare Workers.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { Miniflare } from "miniflare";

const SECRET = "whsec_test";
const WORKER = `
import { receiver } from "./index.js";
export default {
  fetch: (request, env) => receiver({ secrets: env.SECRET, onEvent() {}, onRejected() {} })(request),
};`;

test("a Worker receives", async () => {
  const folder = fileURLToPath(new URL(".", import.meta.resolve("heygen-webhooks")));
  // Without the modules that need Node.js or a framework.
  const names = readdirSync(folder).filter((name) => /^(?!express|fastify|sandbox).*\.js$/.test(name));
  const modules = names.map((path) => ({ type: "ESModule", path, contents: readFileSync(join(folder, path), "utf8") }));
  const worker = new Miniflare({
    compatibilityDate: "2026-01-01",
    bindings: { SECRET },
    modules: [{ type: "ESModule", path: "worker.js", contents: WORKER }, ...modules],
  });
  const body = '{"event_type":"avatar_video.fail","event_data":{"video_id":"v"}}';
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  try {
    const answered = async (method, body, headers) => {
      const response = await worker.dispatchFetch("http://localhost/heygen", { method, body, headers });
      return response.status;
    };
    assert.equal(await answered("OPTIONS"), 204);
    assert.equal(await answered("POST", body, { signature }), 200);
    assert.equal(await answered("POST", `${body} `, { signature }), 401);
    assert.equal(await answered("POST", body), 401);
  } finally {
    await worker.dispose();
  }
});
