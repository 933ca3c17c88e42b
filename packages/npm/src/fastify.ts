// A plugin for Fastify.

import type { FastifyInstance } from "fastify";

import { answer, MAX_BODY_BYTES, type Receiver } from "./receiver.js";

/**
 * Handles every method of a path: `app.register(heygen, { path: "/heygen", secrets, onEvent })`.
 *
 * Fastify itself answers 413 to a body of more than `maxBodyBytes`, without a call of `onRejected`; its `onError` hooks see that.
 */
export async function heygen(app: FastifyInstance, options: Receiver & { readonly path: string }): Promise<void> {
  // In this plugin alone: the signature covers the bytes as they were sent.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.route({
    method: ["GET", "OPTIONS", "POST"],
    url: options.path,
    bodyLimit: options.maxBodyBytes ?? MAX_BODY_BYTES,
    handler: async (request, reply) => {
      const rawBody = request.body instanceof Uint8Array ? request.body : new Uint8Array();
      const { method, headers } = request;
      const given = await answer({ method, headers, body: async () => rawBody }, options);
      return reply.code(given.status).headers(given.headers).send();
    },
  });
}
