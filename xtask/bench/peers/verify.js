// What both servers of Node do with a request: compare the signature over the raw body in constant time.
"use strict";

const crypto = require("node:crypto");

const secret = process.env.HEYGEN_WEBHOOK_SECRET;

exports.isSigned = (body, signature) => {
  const expected = crypto.createHmac("sha256", secret).update(body).digest();
  const given = Buffer.from(signature || "", "hex");
  return given.length === expected.length && crypto.timingSafeEqual(given, expected);
};
