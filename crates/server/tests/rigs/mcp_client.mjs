// The official TypeScript SDK as an MCP client, driven from stdin.
//
// Options: url, bearer, elicitation ("url" | "form" | "none"), protocol ("legacy" | "auto" | a modern
// revision to pin, "legacy" by default), versions (legacy revisions to offer, newest first).
// It prints { ready, protocol_version, server, capabilities } or { failed }, then reads one JSON line per
// call and prints one JSON line per event:
//   { "call": "tools/call", "params": {...} }   -> { result } or { error: { code, message, data } }
//   { "list": "tools" | "resources" | "resource_templates" | "prompts" } -> { result: [...] }
// While a call runs, a URL elicitation prints { elicitation: { url, message, elicitation_id } } and waits
// for a line: { "action": "accept" | "decline" | "cancel" }. `notifications/elicitation/complete` prints
// { elicitation_complete: id }, and other notifications { notification }.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { nextLine, options, say } from "./rig.mjs";

const { url, bearer, elicitation = "none", protocol = "legacy", versions } = options;

const capabilities = {
  url: { elicitation: { url: {} } },
  form: { elicitation: {} },
  none: {},
}[elicitation];

const client = new Client(
  { name: "doorward-rig", version: "1.0.0" },
  {
    capabilities,
    versionNegotiation: { mode: ["legacy", "auto"].includes(protocol) ? protocol : { pin: protocol } },
    ...(versions ? { supportedProtocolVersions: versions } : {}),
  },
);

if (elicitation !== "none") {
  client.setRequestHandler("elicitation/create", async ({ params }) => {
    say({ elicitation: { mode: params.mode ?? "form", url: params.url, message: params.message, elicitation_id: params.elicitationId } });
    const answer = await nextLine();
    return answer === null ? { action: "cancel" } : JSON.parse(answer);
  });
}
if (elicitation === "url") {
  client.setNotificationHandler("notifications/elicitation/complete", ({ params }) => {
    say({ elicitation_complete: params.elicitationId });
  });
}
client.fallbackNotificationHandler = async (notification) => say({ notification });

const TYPED_CALLS = {
  "tools/call": (params) => client.callTool(params),
  "resources/read": (params) => client.readResource(params),
  "prompts/get": (params) => client.getPrompt(params),
  "completion/complete": (params) => client.complete(params),
  ping: () => client.ping(),
};

const LISTS = {
  tools: async () => (await client.listTools()).tools,
  resources: async () => (await client.listResources()).resources,
  resource_templates: async () => (await client.listResourceTemplates()).resourceTemplates,
  prompts: async () => (await client.listPrompts()).prompts,
};

function described(error) {
  return { code: error.code ?? null, message: error.message, data: error.data ?? null, name: error.name };
}

async function attempt(command) {
  try {
    const act = command.list ? LISTS[command.list] : TYPED_CALLS[command.call];
    if (!act) throw new Error(`there is no command ${JSON.stringify(command)}`);
    return { result: await act(command.params ?? {}) };
  } catch (error) {
    return { error: described(error) };
  }
}

const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: bearer ? { headers: { authorization: `Bearer ${bearer}` } } : {},
});
try {
  await client.connect(transport);
  say({
    ready: true,
    protocol_version: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? null,
    server: client.getServerVersion() ?? null,
    capabilities: client.getServerCapabilities() ?? null,
  });
} catch (error) {
  say({ failed: described(error) });
  process.exit(1);
}

for (let line = await nextLine(); line !== null; line = await nextLine()) {
  say(await attempt(JSON.parse(line)));
}
await client.close();
process.exit(0);
