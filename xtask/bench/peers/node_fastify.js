// Fastify, one process: verified, nothing is kept. The raw body comes from a content type parser, as its documentation says.
"use strict";

const fastify = require("fastify")();
const { isSigned } = require("./verify.js");

fastify.removeAllContentTypeParsers();
fastify.addContentTypeParser("*", { parseAs: "buffer" }, (request, body, done) => done(null, body));

fastify.post("/webhooks/heygen", async (request, reply) => {
  if (!isSigned(request.body, request.headers.signature)) {
    return reply.code(401).send();
  }
  return { status: "accepted" };
});

fastify.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
