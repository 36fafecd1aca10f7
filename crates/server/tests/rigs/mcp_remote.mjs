// `mcp-remote`: what a client that knows only stdio starts in front of a remote server. This script is that
// client: JSON-RPC by lines, 2025-11-25.
//
// Options: url, bearer.
// It prints { ready, protocol_version, server, capabilities } or { failed }, then answers each line as
// mcp_client.mjs does: { "call": method, "params": {...} } or { "list": "tools" | ... }.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endWithParent, nextLine, options, say } from "./rig.mjs";

const { url, bearer } = options;

const home = mkdtempSync(join(tmpdir(), "doorward-mcp-remote-"));
const program = join(import.meta.dirname, "node_modules/mcp-remote/dist/proxy.js");
const flags = ["--transport", "http-only", "--allow-http", "--header", `Authorization: Bearer ${bearer}`];
const proxy = spawn(process.execPath, [program, url, ...flags], {
  env: { ...process.env, HOME: home, MCP_REMOTE_CONFIG_DIR: home },
  stdio: ["pipe", "pipe", "inherit"],
});
endWithParent(() => {
  proxy.kill();
  rmSync(home, { recursive: true, force: true });
});

const waiting = new Map();
createInterface({ input: proxy.stdout }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.id !== undefined && waiting.has(message.id)) {
    waiting.get(message.id)(message);
    waiting.delete(message.id);
  } else if (message.method) {
    say({ notification: message });
  }
});
proxy.on("exit", (code) => {
  say({ failed: `mcp-remote has ended with ${code}` });
  process.exit(1);
});

let last = 0;
const write = (message) => proxy.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
function request(method, params) {
  const id = ++last;
  const answered = new Promise((resolve) => waiting.set(id, resolve));
  write({ id, method, params });
  return answered;
}

const LISTS = {
  tools: ["tools/list", "tools"],
  resources: ["resources/list", "resources"],
  resource_templates: ["resources/templates/list", "resourceTemplates"],
  prompts: ["prompts/list", "prompts"],
};

const { result, error } = await request("initialize", {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "doorward-rig", version: "1.0.0" },
});
if (error) {
  say({ failed: error });
  process.exit(1);
}
write({ method: "notifications/initialized" });
const { protocolVersion: protocol_version, serverInfo: server, capabilities } = result;
say({ ready: true, protocol_version, server, capabilities });

for (let line = await nextLine(); line !== null; line = await nextLine()) {
  const { call, list, params = {} } = JSON.parse(line);
  const [method, member] = list ? LISTS[list] : [call];
  const answer = await request(method, params);
  if (answer.error) say({ error: answer.error });
  else say({ result: member ? answer.result[member] : answer.result });
}
