// An MCP server of both eras on one URL, for the published conformance suite and for the tests of the bridges.
//
// Options: eras ("both" by default, "legacy", "modern"): a server that is locked to one era knows nothing of
// the other; forgets_result_type: results of the modern era lack `resultType`, as some servers' do.
// It prints { url }. On stdin it takes { "seen": true } and prints { seen: [{ http, method, headers, message }] }.

import { randomUUID } from "node:crypto";
import { InputRequired, Refusal, announced, described, isAnswer, prompts, read, resourceTemplates, resources, tools } from "./mcp_fixture_catalog.mjs";
import { bodyOf, endWithParent, listen, nextLine, options, say } from "./rig.mjs";

const { eras = "both", forgets_result_type: forgets = false } = options;
const MODERN = "2026-07-28";
const LEGACY = ["2025-11-25", "2025-06-18", "2025-03-26"];
const META = "io.modelcontextprotocol/";
const LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
const INFO = { name: "doorward-fixture", version: "1.0.0" };
const CAPABILITY_OF = {
  "elicitation/create": "elicitation",
  "sampling/createMessage": "sampling",
  "roots/list": "roots",
};

const seen = [];
/** Legacy sessions by id. */
const sessions = new Map();
/** Open `subscriptions/listen` streams. */
const listeners = new Set();

const capabilities = (modern) => ({
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  ...(modern ? {} : { logging: {} }),
});

/** A stream of events that can be resumed: what is said while nobody listens is kept. */
class Stream {
  constructor(session) {
    this.session = session;
    this.events = [];
    this.name = randomUUID().slice(0, 8);
    session?.streams.set(this.name, this);
  }

  attach(response, after = -1) {
    this.response = response;
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    this.events.slice(after + 1).forEach((event, at) => response.write(this.written(event, after + 1 + at)));
    if (this.ended) response.end();
  }

  written(event, number) {
    const id = this.session ? `id: ${this.name}-${number}\n` : "";
    return event === null ? `${id}retry: 200\ndata: \n\n` : `${id}event: message\ndata: ${JSON.stringify(event)}\n\n`;
  }

  send(event) {
    this.events.push(event);
    this.response?.write(this.written(event, this.events.length - 1));
  }

  end() {
    this.ended = true;
    this.response?.end();
  }

  detach() {
    this.response?.end();
    this.response = undefined;
  }
}

/** What a tool or prompt sees of one request. */
function contextOf({ modern, session, message, stream, open }) {
  const params = message.params ?? {};
  const meta = params._meta ?? {};
  const declared = modern ? meta[`${META}clientCapabilities`] : session.capabilities;
  const level = modern ? meta[`${META}logLevel`] : (session.level ?? "debug");
  const send = (event) => (open(), stream.send(event));
  const notify = (method, more) => send({ jsonrpc: "2.0", method, params: more });
  return {
    modern,
    params,
    args: params.arguments ?? {},
    capabilities: declared,
    log: (of, data) => {
      if (level !== undefined && LEVELS.indexOf(of) >= LEVELS.indexOf(level)) {
        notify("notifications/message", { level: of, logger: "fixture", data });
      }
    },
    progress: (progress, total) => {
      if (meta.progressToken !== undefined) {
        notify("notifications/progress", { progressToken: meta.progressToken, progress, total });
      }
    },
    ask: (key, method, question) => {
      const needed = CAPABILITY_OF[method];
      if (!declared[needed]) {
        if (modern) throw new Refusal(-32021, `${needed} is needed`, { requiredCapabilities: { [needed]: {} } });
        throw new Refusal(-32602, `the client did not declare ${needed}`);
      }
      if (modern) {
        const answer = (params.inputResponses ?? {})[key];
        if (isAnswer(method, answer)) return answer;
        throw new InputRequired({ [key]: { method, params: question } });
      }
      const id = session.nextId++;
      send({ jsonrpc: "2.0", id, method, params: question });
      return new Promise((resolve, reject) => session.asked.set(id, { resolve, reject }));
    },
    closeStream: () => {
      if (!modern) stream.detach();
    },
    changed: (list) => tellAll(`notifications/${list}/list_changed`, {}, (wanted) => wanted[`${list}ListChanged`], () => true),
    updated: (uri) =>
      tellAll(
        "notifications/resources/updated",
        { uri },
        (wanted) => (wanted.resourceSubscriptions ?? []).includes(uri),
        (of) => of.subscribed.has(uri),
      ),
  };
}

function tellAll(method, params, isWanted, isSubscribed) {
  for (const listener of listeners) {
    if (isWanted(listener.filter)) {
      const tagged = { ...params, _meta: { [`${META}subscriptionId`]: listener.id } };
      listener.stream.send({ jsonrpc: "2.0", method, params: tagged });
    }
  }
  for (const session of sessions.values()) {
    if (isSubscribed(session)) session.general?.send({ jsonrpc: "2.0", method, ...(params.uri ? { params } : {}) });
  }
}

const HANDLERS = {
  "tools/list": () => ({ tools: Object.entries(tools).map(described) }),
  "resources/list": () => ({ resources }),
  "resources/templates/list": () => ({ resourceTemplates }),
  "prompts/list": () => ({ prompts: Object.entries(prompts).map(announced) }),
  "tools/call": (context) => named(tools, context, "tool").run(context),
  "prompts/get": (context) => named(prompts, context, "prompt").run(context),
  "resources/read": ({ params, modern }) => {
    const found = read(params.uri);
    if (found) return found;
    throw new Refusal(modern ? -32602 : -32002, "Resource not found", { uri: params.uri });
  },
  "completion/complete": ({ params }) => {
    const values = ["paris", "park", "party"].filter((value) => value.startsWith(params.argument?.value ?? ""));
    return { completion: { values, total: values.length, hasMore: false } };
  },
};

function named(all, { params }, what) {
  if (Object.hasOwn(all, params.name ?? "")) return all[params.name];
  throw new Refusal(-32602, `Unknown ${what}: ${params.name}`);
}

const CACHEABLE = ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read", "server/discover"];

function answered(modern, message, result) {
  if (!modern) return { jsonrpc: "2.0", id: message.id, result };
  const more = {
    ...(forgets || result.resultType ? {} : { resultType: "complete" }),
    ...(CACHEABLE.includes(message.method) ? { ttlMs: 0, cacheScope: "private" } : {}),
    _meta: { [`${META}serverInfo`]: INFO },
  };
  return { jsonrpc: "2.0", id: message.id, result: { ...result, ...more } };
}

function failed(message, error) {
  const { code = -32603, message: words = String(error), data } = error;
  const id = message?.id === undefined ? null : message.id;
  return { jsonrpc: "2.0", id, error: { code, message: words, ...(data === undefined ? {} : { data }) } };
}

const STATUS_OF = { "-32601": 404, "-32020": 400, "-32021": 400, "-32022": 400 };

/** Runs a request; its stream opens when there is something to say before the answer. */
async function serve(response, { modern, session, message, handler, eager }) {
  const stream = new Stream(session);
  const open = () => {
    if (stream.isOpen) return;
    stream.isOpen = true;
    stream.attach(response);
    if (session) stream.send(null);
  };
  if (eager) open();
  const context = contextOf({ modern, session, message, stream, open });
  let reply;
  let status = 200;
  try {
    reply = answered(modern, message, await handler(context));
  } catch (thrown) {
    if (thrown instanceof InputRequired) reply = answered(modern, message, thrown.result);
    else {
      reply = failed(message, thrown);
      status = modern ? (STATUS_OF[thrown.code] ?? 200) : 200;
    }
  }
  if (!stream.isOpen) return json(response, status, reply);
  stream.send(reply);
  stream.end();
}

function json(response, status, body, headers = {}) {
  const text = body === undefined ? "" : JSON.stringify(body);
  response.writeHead(status, { ...(text ? { "content-type": "application/json" } : {}), ...headers });
  response.end(text);
}

const local = (host) => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host ?? "");

function decoded(value) {
  const trimmed = String(value).trim();
  const inner = /^=\?base64\?(.*)\?=$/.exec(trimmed)?.[1];
  if (inner === undefined) return trimmed;
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(inner)) return undefined;
  return Buffer.from(inner, "base64").toString("utf8");
}

/** 2026-07-28: what stands in headers and body must agree, and nothing that is required may be missing. */
function checkModern(headers, message) {
  const meta = message.params?._meta ?? {};
  const agree = (header, body) => {
    if (headers[header] === undefined || decoded(headers[header]) !== body) {
      throw new Refusal(-32020, `the header ${header} does not say what the body says`);
    }
  };
  const version = meta[`${META}protocolVersion`];
  if (version !== undefined) agree("mcp-protocol-version", version);
  agree("mcp-method", message.method);
  const mirrored = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" }[message.method];
  if (mirrored && message.params?.[mirrored] !== undefined) agree("mcp-name", message.params[mirrored]);
  if (version === undefined) throw new Refusal(-32602, "_meta must name the protocol version");
  if (typeof meta[`${META}clientCapabilities`] !== "object") throw new Refusal(-32602, "_meta must hold the client's capabilities");
  if (version !== MODERN) throw new Refusal(-32022, "unsupported protocol version", { supported: supported(), requested: version });
  const tool = message.method === "tools/call" ? tools[message.params?.name] : undefined;
  for (const [name, schema] of Object.entries(tool?.schema?.properties ?? {})) {
    const value = message.params.arguments?.[name];
    if (schema["x-mcp-header"] && value !== undefined) agree(`mcp-param-${schema["x-mcp-header"].toLowerCase()}`, String(value));
  }
}

const supported = () => (eras === "modern" ? [MODERN] : [MODERN, ...LEGACY]);

async function modernRequest(request, response, message) {
  if (message.id === undefined) return json(response, 202);
  try {
    checkModern(request.headers, message);
  } catch (refusal) {
    return json(response, 400, failed(message, refusal));
  }
  if (message.method === "server/discover") {
    const facts = { supportedVersions: supported(), capabilities: capabilities(true), instructions: "The fixture." };
    return json(response, 200, answered(true, message, facts));
  }
  if (message.method === "subscriptions/listen") return subscribe(response, message);
  const handler = HANDLERS[message.method];
  if (!handler) return json(response, 404, failed(message, new Refusal(-32601, "Method not found")));
  await serve(response, { modern: true, message, handler, eager: false });
}

function subscribe(response, message) {
  const stream = new Stream();
  const listener = { id: message.id, filter: message.params.notifications ?? {}, stream };
  stream.attach(response);
  const params = { notifications: listener.filter, _meta: { [`${META}subscriptionId`]: message.id } };
  stream.send({ jsonrpc: "2.0", method: "notifications/subscriptions/acknowledged", params });
  listeners.add(listener);
  response.on("close", () => listeners.delete(listener));
}

async function legacyMessage(request, response, message) {
  if (message.method === "initialize") {
    const session = { capabilities: message.params.capabilities ?? {}, streams: new Map(), asked: new Map(), subscribed: new Set(), nextId: 0 };
    const id = randomUUID();
    sessions.set(id, session);
    const asked = message.params.protocolVersion;
    const facts = {
      protocolVersion: LEGACY.includes(asked) ? asked : LEGACY[0],
      capabilities: capabilities(false),
      serverInfo: INFO,
      instructions: "The fixture.",
    };
    return json(response, 200, { jsonrpc: "2.0", id: message.id, result: facts }, { "mcp-session-id": id });
  }
  const session = sessionOf(request, response);
  if (!session) return;
  if (message.method === undefined) {
    const waiting = session.asked.get(message.id);
    session.asked.delete(message.id);
    if (message.error) waiting?.reject(new Refusal(-32603, `the client answered: ${message.error.message}`));
    else waiting?.resolve(message.result);
    return json(response, 202);
  }
  if (message.id === undefined) return json(response, 202);
  const own = {
    ping: () => ({}),
    "logging/setLevel": ({ params }) => ((session.level = params.level), {}),
    "resources/subscribe": ({ params }) => (session.subscribed.add(params.uri), {}),
    "resources/unsubscribe": ({ params }) => (session.subscribed.delete(params.uri), {}),
  };
  const handler = own[message.method] ?? HANDLERS[message.method];
  if (!handler) return json(response, 200, failed(message, new Refusal(-32601, "Method not found")));
  await serve(response, { modern: false, session, message, handler, eager: message.method === "tools/call" });
}

function sessionOf(request, response) {
  const id = request.headers["mcp-session-id"];
  const version = request.headers["mcp-protocol-version"];
  if (version !== undefined && !LEGACY.includes(version)) json(response, 400, failed(null, new Refusal(-32600, "unknown version")));
  else if (id === undefined) json(response, 400, failed(null, new Refusal(-32600, "no session")));
  else if (!sessions.has(id)) json(response, 404, failed(null, new Refusal(-32600, "no such session")));
  else return sessions.get(id);
}

function general(request, response) {
  const session = sessionOf(request, response);
  if (!session) return;
  const [name, number] = String(request.headers["last-event-id"] ?? "").split("-");
  const resumed = session.streams.get(name);
  if (resumed) return resumed.attach(response, Number(number));
  session.general = new Stream(session);
  session.general.attach(response);
  session.general.send(null);
}

async function handle(request, response) {
  const origin = request.headers.origin;
  if (!local(request.headers.host) || (origin !== undefined && !local(origin.replace(/^https?:\/\//, "")))) {
    return json(response, 403, failed(null, new Refusal(-32600, "a foreign host")));
  }
  const version = request.headers["mcp-protocol-version"];
  if (request.method !== "POST") {
    seen.push({ http: request.method, headers: request.headers });
    if (eras === "modern" || version === MODERN || !["GET", "DELETE"].includes(request.method)) return json(response, 405);
    if (request.method === "GET") return general(request, response);
    const known = sessionOf(request, response);
    if (known) {
      sessions.delete(request.headers["mcp-session-id"]);
      json(response, 204);
    }
    return;
  }
  let message;
  try {
    message = JSON.parse(await bodyOf(request));
  } catch {
    return json(response, 400, failed(null, new Refusal(-32700, "no JSON")));
  }
  seen.push({ http: "POST", method: message.method, headers: request.headers, message });
  const named = message.params?._meta?.[`${META}protocolVersion`];
  const isModern = named !== undefined || (version !== undefined && !LEGACY.includes(version));
  if (isModern && eras !== "legacy") return modernRequest(request, response, message);
  if (eras === "modern") return json(response, 400, failed(message, new Refusal(-32022, "unsupported", { supported: supported(), requested: version ?? "" })));
  return legacyMessage(request, response, message);
}

const { server, origin } = await listen();
server.on("request", (request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) json(response, 500, failed(null, error));
  });
});
endWithParent();
say({ url: `${origin}/mcp` });
for (let line = await nextLine(); line !== null; line = await nextLine()) {
  if (JSON.parse(line).seen) say({ seen: seen.splice(0) });
}
