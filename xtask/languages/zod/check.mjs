// Makes a zod schema of any.json and compares its verdict on every fixture with the expected one: check.mjs any.json fixtures

import { deepStrictEqual } from "node:assert";
import { readFileSync, writeFileSync } from "node:fs";
import { dereference } from "@apidevtools/json-schema-ref-parser";
import { jsonSchemaToZod } from "json-schema-to-zod";
import ts from "typescript";

const [schema, fixtures] = process.argv.slice(2);
const text = jsonSchemaToZod(await dereference(schema), { module: "esm", name: "event" });
const options = { module: "esnext", target: "es2022" };
writeFileSync(new URL("event.mjs", import.meta.url), ts.transpileModule(text, { compilerOptions: options }).outputText);
const { event } = await import("./event.mjs");

// JavaScript rounds such a number when it reads it, and zod refuses it.
const isRounded = (value) =>
  typeof value === "object" && value !== null
    ? Object.values(value).some(isRounded)
    : Number.isInteger(value) && !Number.isSafeInteger(value);

let wrong = 0;
for (const { file, known, verdict } of JSON.parse(readFileSync(`${fixtures}/index.json`, "utf8")).fixtures) {
  if (verdict === "unreadable") continue;
  const body = JSON.parse(readFileSync(`${fixtures}/${file}`, "utf8"));
  const expected = known && verdict === "well_formed" && "event_type" in body;
  const { success, data, error } = event.safeParse(body);
  if (success !== expected && !(isRounded(body) && !success)) {
    console.error(`${file} is ${success ? "accepted" : `refused: ${error}`}`);
    wrong += 1;
  }
  if (success) deepStrictEqual(data, body, `${file} loses something`);
}
process.exit(wrong === 0 ? 0 : 1);
