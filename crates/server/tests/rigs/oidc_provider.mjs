// The OpenID-certified `oidc-provider` on loopback, with rotation and reuse detection.
//
// Options: port (0), client_id, client_secret, redirect_uris, token_endpoint_auth_method
// ("client_secret_basic"), access_token_seconds (3600), documents_at (none: client ID metadata documents
// are not taken; else the origin where they are read, whatever the host of the client id), exchange_audience (none:
// a token exchange that names an audience is refused; else one that does not name this very one).
// It prints one line: { issuer, authorization_endpoint, token_endpoint, registration_endpoint, control }.
//
// `control` is for the test and for the MCP server under test, never for the gateway:
//   POST /introspect         token=...   -> { active, account, resource, scope }
//   POST /authorize          url=... account=...  -> { location }: logs in and consents, without a browser
//   GET  /log                            -> { token_requests: { <grant_type>: n }, grants: { ... }, errors: [...] }
//   POST /end_access_tokens              ends every access token before its time
//
// Any password is accepted: the login name is the account.

import Provider from "oidc-provider";
import { JWT_BEARER, TOKEN_EXCHANGE, registerExchange } from "./oidc_exchange.mjs";
import { bodyOf, endWithParent, listen, options, say } from "./rig.mjs";

const {
  port = 0,
  client_id = "gateway",
  client_secret = "gateway-secret",
  redirect_uris = ["http://localhost:4444/oauth/callback"],
  token_endpoint_auth_method = "client_secret_basic",
  access_token_seconds = 3600,
  documents_at = null,
  exchange_audience = null,
} = options;

const SCOPES = ["openid", "email", "offline_access", "notes", "repos"];
const resourceServerInfo = (resource) => ({
  audience: resource,
  scope: SCOPES.join(" "),
  accessTokenTTL: access_token_seconds,
  accessTokenFormat: "opaque",
});
const log = { token_requests: {}, grants: {}, errors: [] };
const accessTokens = [];

// The provider warns about Node's version, its development pages and http; none of it is news here.
console.info = console.warn = () => {};

const { server, origin: issuer } = await listen(port);
const provider = new Provider(issuer, {
  clients: [
    {
      client_id,
      client_secret,
      redirect_uris,
      token_endpoint_auth_method,
      grant_types: [
        "authorization_code",
        "refresh_token",
        TOKEN_EXCHANGE,
        JWT_BEARER,
      ],
      response_types: ["code"],
      scope: SCOPES.join(" "),
    },
  ],
  scopes: SCOPES,
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  cookies: { keys: ["only for tests"] },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    clientIdMetadataDocument: { enabled: documents_at !== null, ack: "draft-02" },
    introspection: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => resourceServerInfo(resource),
    },
  },
  ...(documents_at && {
    fetch: (url, init) => fetch(new URL(new URL(url).pathname, documents_at), { ...init, dispatcher: undefined }),
  }),
  // `offline_access` alone would need `prompt=consent`; gateways in the field often send neither.
  issueRefreshToken: () => true,
  expiresWithSession: () => false,
  rotateRefreshToken: () => true,
  ttl: { AccessToken: access_token_seconds, RefreshToken: 86_400, Grant: 86_400, Session: 3600, Interaction: 600, IdToken: 86_400 },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true }),
  }),
});

registerExchange(provider, issuer, resourceServerInfo, exchange_audience);

const count = (table, key) => (table[key] = (table[key] ?? 0) + 1);
provider.on("access_token.saved", (token) => accessTokens.push(token));
provider.on("grant.success", (context) => count(log.grants, context.oidc.params.grant_type));
provider.on("grant.error", (context, error) => {
  log.errors.push({ grant_type: context.oidc?.params?.grant_type, error: error.error, detail: error.error_detail });
});
provider.use(async (context, next) => {
  await next();
  if (context.path === "/token") count(log.token_requests, context.oidc?.params?.grant_type ?? "unknown");
});
server.on("request", provider.callback());

async function introspect(token) {
  const found = token && (await provider.AccessToken.find(token));
  if (!found?.isValid) return { active: false };
  return { active: true, account: found.accountId, resource: found.aud ?? null, scope: found.scope ?? "" };
}

/** What a person does in the browser: log in, allow, and be sent back. */
async function authorize(url, account) {
  const cookies = new Map();
  const send = async (to, form) => {
    const answer = await fetch(new URL(to, issuer), {
      method: form ? "POST" : "GET",
      body: form && new URLSearchParams(form),
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
      redirect: "manual",
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(";", 1)[0].split(/=(.*)/s);
      cookies.set(name, value);
    }
    return { location: answer.headers.get("location"), html: await answer.text() };
  };
  let answer = await send(url);
  while (answer.location && new URL(answer.location, issuer).origin === issuer) {
    const page = await send(answer.location);
    if (page.location) {
      answer = page;
      continue;
    }
    const isLogin = page.html.includes('name="login"');
    const form = isLogin ? { prompt: "login", login: account, password: "any" } : { prompt: "consent" };
    answer = await send(answer.location, form);
  }
  return { location: answer.location };
}

async function answerControl(request) {
  switch (`${request.method} ${request.url}`) {
    case "POST /authorize": {
      const form = new URLSearchParams(await bodyOf(request));
      return authorize(form.get("url"), form.get("account") ?? "alice");
    }
    case "POST /introspect":
      return introspect(new URLSearchParams(await bodyOf(request)).get("token"));
    case "GET /log":
      return log;
    case "POST /end_access_tokens":
      await Promise.all(accessTokens.splice(0).map((token) => token.destroy()));
      return {};
    default:
      return null;
  }
}

const control = await listen();
control.server.on("request", async (request, response) => {
  const answer = await answerControl(request);
  response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(answer));
});

endWithParent();
say({
  issuer,
  authorization_endpoint: `${issuer}/auth`,
  token_endpoint: `${issuer}/token`,
  registration_endpoint: `${issuer}/reg`,
  control: control.origin,
});
