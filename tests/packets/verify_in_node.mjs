// Runs the checks of verify.html outside a browser: one JSON question a line on stdin, one JSON answer a line on stdout.
// Questions: {packet, trust} -> the report; {ed25519: [[key, message, signature], ...]} -> [true, ...]; {mldsa44: ...} the same, a context may follow; all bytes in base64.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Node 18 keeps it in a module
const [, script] = /<script>([\s\S]*?)<\/script>/.exec(readFileSync(process.argv[2], "utf8"));
const verifier = (0, eval)(`${script}\nGovernorVerify`);
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

async function answer(question) {
  if (question.ed25519) return Promise.all(question.ed25519.map((one) => verifier.ed25519(...one.map(bytes))));
  if (question.mldsa44) return question.mldsa44.map((one) => verifier.mldsa44(...one.map(bytes)));
  if (question.repeat) { // milliseconds of each of `repeat` verifications
    const [packet, trust, times] = [bytes(question.packet), bytes(question.trust), []];
    for (let round = 0; round < question.repeat; round += 1) {
      const start = performance.now();
      await verifier.verify(packet, trust);
      times.push(performance.now() - start);
    }
    return times;
  }
  try {
    const { held, ...report } = await verifier.verify(bytes(question.packet), bytes(question.trust));
    return report;
  } catch (error) {
    if (error instanceof verifier.Fail) return { usage: error.message };
    throw error;
  }
}
for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
