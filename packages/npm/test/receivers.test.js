// The three adapters and the handler of `Request`s, each as a server.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";

import express from "express";
import fastify from "fastify";
import { receiver } from "heygen-webhooks";
import * as forExpress from "heygen-webhooks/express";
import * as forFastify from "heygen-webhooks/fastify";
import * as forNext from "heygen-webhooks/next";

const SECRET = "whsec_test";
const body = '{"event_type":"avatar_video.fail","event_data":{"video_id":"v"}}';

const servers = {
  async express(options) {
    const app = express();
    app.all("/heygen", forExpress.heygen(options));
    return listen(createServer(app));
  },
  async "express.raw"(options) {
    const app = express();
    app.all("/heygen", express.raw({ type: () => true, limit: "2mb" }), forExpress.heygen(options));
    return listen(createServer(app));
  },
  async "node:http"(options) {
    return listen(createServer(forExpress.heygen(options)));
  },
  async fastify(options) {
    const app = fastify();
    await app.register(forFastify.heygen, { path: "/heygen", ...options });
    after(() => app.close());
    return `${await app.listen({ host: "127.0.0.1", port: 0 })}/heygen`;
  },
  async next(options) {
    const handlers = forNext.heygen(options);
    return listen(createServer(bridge((request) => handlers[request.method](request))));
  },
  async "Request"(options) {
    return listen(createServer(bridge(receiver(options))));
  },
};

async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => server.close());
  return `http://127.0.0.1:${server.address().port}/heygen`;
}

/** node:http around a handler of `Request`s, as a platform has it. */
function bridge(handle) {
  return async (incoming, response) => {
    const hasBody = incoming.method === "POST";
    const request = new Request(`http://localhost${incoming.url}`, {
      method: incoming.method,
      headers: incoming.headers,
      ...(hasBody ? { body: incoming, duplex: "half" } : {}),
    });
    try {
      const answer = await handle(request);
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end();
    } catch {
      response.writeHead(500).end();
    }
  };
}

const sign = (text) => createHmac("sha256", SECRET).update(text).digest("hex");

for (const [name, start] of Object.entries(servers)) {
  test(name, async () => {
    const events = [];
    const unreadable = [];
    const rejected = [];
    let secrets;
    let failure;
    const url = await start({
      secrets: () => secrets,
      onEvent(event, rawBody) {
        if (failure !== undefined) throw failure;
        events.push([event.event_type, Buffer.from(rawBody).toString()]);
      },
      onUnreadable: (rawBody) => unreadable.push(Buffer.from(rawBody).toString()),
      onRejected: (rejection) => rejected.push(rejection),
    });
    const post = async (text, headers) => {
      const response = await fetch(url, { method: "POST", body: text, headers });
      await response.text();
      return response;
    };
    const signed = (text) => ({ signature: sign(text), "content-type": "application/json" });

    for (const method of ["OPTIONS", "GET", "HEAD"]) {
      assert.equal((await fetch(url, { method })).status, 204, method);
    }
    const early = await post(body, signed(body));
    assert.deepEqual([early.status, early.headers.get("retry-after")], [503, "60"]);

    secrets = [SECRET];
    assert.equal((await post(body, signed(body))).status, 200);
    assert.equal((await post(`\n ${body}`, { signature: sign(`\n ${body}`) })).status, 200);
    assert.deepEqual(events, [["avatar_video.fail", body], ["avatar_video.fail", `\n ${body}`]]);
    for (const text of ["<html>", ""]) {
      assert.equal((await post(text, signed(text))).status, 200);
    }
    assert.deepEqual(unreadable, ["<html>", ""]);

    assert.equal((await post(body, {})).status, 401);
    assert.equal((await post(`${body} `, signed(body))).status, 401);
    const large = "x".repeat(1024 * 1024 + 1);
    assert.equal((await post(large, signed(large))).status, 413);
    failure = new Error("no database");
    assert.equal((await post(body, signed(body))).status, 500);
    assert.equal(events.length, 2);
    assert.deepEqual(rejected.slice(0, 3).map(({ status }) => status), [503, 401, 401]);
  });
}

test("Express that parsed the body is an error that says what to do", async () => {
  const app = express();
  app.use(express.json());
  app.all("/heygen", forExpress.heygen({ secrets: SECRET, onEvent() {} }));
  let error;
  app.use((found, _request, response, _next) => {
    error = found;
    response.sendStatus(500);
  });
  const url = await listen(createServer(app));
  const headers = { "content-type": "application/json", signature: sign(body) };
  assert.equal((await fetch(url, { method: "POST", body, headers })).status, 500);
  assert.match(error.message, /before express.json/);
});
