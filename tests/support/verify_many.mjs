// Verifies one bundle after another: a line of JSON in (`bundle` in base64, `expect`, `keys`), exit code and report out.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { answer } = await import(pathToFileURL(process.argv[2]));

for await (const line of createInterface({ input: process.stdin })) {
  const { bundle, expect, keys } = JSON.parse(line);
  const raw = new Uint8Array(Buffer.from(bundle, "base64"));
  const source = { size: raw.length, read: async (place, length) => raw.subarray(place, place + length) };
  const [code, report] = await answer(() => source, expect, keys);
  process.stdout.write(`${code} ${JSON.stringify(report)}\n`);
}
