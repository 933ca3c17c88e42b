// Node's own http server, one process: verified, nothing is kept.
"use strict";

const http = require("node:http");
const { isSigned } = require("./verify.js");

const answer = (response, status, text) => {
  const length = Buffer.byteLength(text);
  response.writeHead(status, { "content-type": "application/json", "content-length": length });
  response.end(text);
};

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    if (request.method !== "POST" || request.url !== "/webhooks/heygen") {
      answer(response, 404, "");
    } else if (!isSigned(Buffer.concat(chunks), request.headers.signature)) {
      answer(response, 401, "");
    } else {
      answer(response, 200, '{"status":"accepted"}');
    }
  });
});

server.listen(Number(process.env.PORT), "127.0.0.1");
