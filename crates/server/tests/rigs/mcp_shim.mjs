// What stands between the conformance suite and Doorward, in tests alone: the suite cannot send a bearer token,
// and it knows names without a gateway's prefix. Host, Origin and everything else pass as they came.
//
// Options: target (an MCP URL), bearer, prefix (of the gateway whose names the suite knows; none at a gateway's
// own endpoint). It prints { url }.

import { request as ask } from "node:http";
import { bodyOf, endWithParent, listen, options, say } from "./rig.mjs";

const { target, bearer, prefix } = options;
const { hostname, port, pathname } = new URL(target);

/** The suite's names as clients of `/mcp` have to call them. */
function prefixed(text, headers) {
  if (!prefix || text === "") return text;
  const message = JSON.parse(text);
  const { params } = message;
  if (["tools/call", "prompts/get"].includes(message.method) && typeof params?.name === "string") {
    params.name = `${prefix}${params.name}`;
    const name = headers["mcp-name"];
    // Only what says the plain name; a header that is meant to be wrong stays wrong.
    if (name !== undefined) headers["mcp-name"] = withPrefix(name);
  }
  if (typeof params?.ref?.name === "string") params.ref.name = `${prefix}${params.ref.name}`;
  return JSON.stringify(message);
}

/** The same inside the sentinel of values that headers cannot carry, and with the white space around it. */
function withPrefix(value) {
  const inner = /^=\?base64\?(.*)\?=$/.exec(value.trim())?.[1];
  if (inner === undefined) return value.replace(/^(\s*)/, `$1${prefix}`);
  const plain = Buffer.from(inner, "base64").toString("utf8");
  return `=?base64?${Buffer.from(`${prefix}${plain}`).toString("base64")}?=`;
}

/** The lists with the suite's own names; what belongs to other gateways stays as it is. */
function plain(text) {
  const message = JSON.parse(text);
  for (const list of [message.result?.tools, message.result?.prompts]) {
    for (const item of list ?? []) {
      if (item.name.startsWith(prefix)) item.name = item.name.slice(prefix.length);
    }
  }
  return JSON.stringify(message);
}

const { server, origin } = await listen();
server.on("request", async (incoming, outgoing) => {
  const headers = { ...incoming.headers, authorization: `Bearer ${bearer}` };
  delete headers["content-length"];
  delete headers["transfer-encoding"];
  delete headers.connection;
  const body = prefixed(await bodyOf(incoming), headers);
  const onward = ask({ hostname, port, path: pathname, method: incoming.method, headers });
  onward.on("response", async (response) => {
    const isJson = String(response.headers["content-type"]).startsWith("application/json");
    const answer = { ...response.headers };
    delete answer["content-length"];
    delete answer["transfer-encoding"];
    if (prefix && isJson) {
      const text = plain(await bodyOf(response));
      outgoing.writeHead(response.statusCode, answer).end(text);
      return;
    }
    outgoing.writeHead(response.statusCode, answer);
    outgoing.flushHeaders();
    response.pipe(outgoing);
  });
  onward.on("error", () => outgoing.destroy());
  // A client that hangs up says so to whoever stands behind.
  outgoing.on("close", () => onward.destroy());
  onward.end(body);
});
endWithParent();
say({ url: `${origin}${pathname}` });
