// What every rig shares: options come as JSON in the first argument, facts go out as one JSON line each,
// and a rig ends with its parent, because a closed stdin is the one sign that survives a crash.

import { createServer } from "node:http";
import { createInterface } from "node:readline";

export const options = JSON.parse(process.argv[2] ?? "{}");

const lines = createInterface({ input: process.stdin });
const waiting = [];
const received = [];
let isClosed = false;

lines.on("line", (line) => {
  const next = waiting.shift();
  if (next) next(line);
  else received.push(line);
});
lines.on("close", () => {
  isClosed = true;
  waiting.splice(0).forEach((next) => next(null));
});

/** The next line of stdin; null when it is closed. */
export function nextLine() {
  if (received.length > 0) return Promise.resolve(received.shift());
  if (isClosed) return Promise.resolve(null);
  return new Promise((resolve) => waiting.push(resolve));
}

/** Prints one JSON line. */
export function say(fact) {
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}

/** Ends the process as soon as the parent has gone. */
export function endWithParent(cleanUp = () => {}) {
  const end = async () => {
    await cleanUp();
    process.exit(0);
  };
  if (isClosed) end();
  else lines.on("close", end);
}

/** An HTTP server on a free loopback port, and its origin. */
export async function listen(port = 0) {
  const server = createServer();
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

/** The body of a request as text. */
export async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
