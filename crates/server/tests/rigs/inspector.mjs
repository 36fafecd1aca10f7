// The MCP Inspector's command line: one process a request, as a person or a script would start it.
//
// Options: url, bearer, era ("legacy" | "modern").
// It prints { ready }, then answers each line as mcp_client.mjs does: { "call": method, "params": {...} } or
// { "list": "tools" | ... }. What the Inspector refuses is { error: { message } }.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endWithParent, nextLine, options, say } from "./rig.mjs";

const { url, bearer, era } = options;

// The Inspector wants a newer Node than the machine may have; the rigs carry one.
const node = join(import.meta.dirname, "node_modules/node/bin/node");
const program = join(
  import.meta.dirname,
  "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
);
const home = mkdtempSync(join(tmpdir(), "doorward-inspector-"));
endWithParent(() => rmSync(home, { recursive: true, force: true }));

const LISTS = {
  tools: ["tools/list", "tools"],
  resources: ["resources/list", "resources"],
  resource_templates: ["resources/templates/list", "resourceTemplates"],
  prompts: ["prompts/list", "prompts"],
};

function flagsOf(method, params) {
  switch (method) {
    case "tools/call":
      return ["--tool-name", params.name, "--tool-args-json", JSON.stringify(params.arguments ?? {})];
    case "resources/read":
      return ["--uri", params.uri];
    case "prompts/get": {
      const pairs = Object.entries(params.arguments ?? {}).map(([name, value]) => `${name}=${value}`);
      return ["--prompt-name", params.name, ...(pairs.length > 0 ? ["--prompt-args", ...pairs] : [])];
    }
    default:
      return [];
  }
}

async function run(method, params) {
  const asked = ["--cli", url, "--transport", "http", "--header", `Authorization: Bearer ${bearer}`];
  const how = ["--protocol-era", era, "--format", "json", "--quiet", "--method", method];
  const child = spawn(node, [program, ...asked, ...how, ...flagsOf(method, params)], {
    env: { ...process.env, HOME: home },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (out.trim() === "") return { error: { message: err.trim() || `it ended with ${code}` } };
  const answer = JSON.parse(out);
  return answer.error ? { error: answer.error } : { result: answer.result ?? answer };
}

say({ ready: true });
for (let line = await nextLine(); line !== null; line = await nextLine()) {
  const { call, list, params = {} } = JSON.parse(line);
  const [method, member] = list ? LISTS[list] : [call];
  const answer = await run(method, params);
  if (answer.result && member) say({ result: answer.result[member] });
  else say(answer);
}
