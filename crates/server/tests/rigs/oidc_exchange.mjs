// Token exchange (RFC 8693) for the `oidc-provider` rig: access tokens of its own for others of its own, and the two steps
// of the ID-JAG profile (an ID token for what this server says of its user, RFC 8693; that for an access token, RFC 7523).
// What is said of a user is a random word that only this server understands, and good once.

import { randomUUID } from "node:crypto";
import { errors } from "oidc-provider";

const TYPE = "urn:ietf:params:oauth:token-type:";
export const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
export const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/** `audience`: the one name by which an access token can be asked for in exchange; null where no request may name any. */
export function registerExchange(provider, issuer, resourceServerInfo, audience) {
  const said = new Map();

  async function answerWithToken(context, accountId, more) {
    const { client, params } = context.oidc;
    const info = resourceServerInfo(params.resource);
    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    grant.addResourceScope(params.resource, info.scope);
    const grantId = await grant.save();
    const token = new provider.AccessToken({ accountId, client, grantId, gty: "exchange", scope: "notes" });
    token.resourceServer = new provider.ResourceServer(params.resource, info);
    context.body = { access_token: await token.save(), token_type: "Bearer", expires_in: info.accessTokenTTL, ...more };
  }

  /** The claims of an ID token of this server's. Only its own clients can show one, so its signature is taken as read. */
  function claimsOf(token) {
    try {
      return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
    } catch {
      return {};
    }
  }

  async function exchange(context) {
    const { client, params } = context.oidc;
    if (params.requested_token_type === `${TYPE}id-jag`) {
      const claims = claimsOf(params.subject_token);
      const ours = claims.iss === issuer && claims.aud === client.clientId;
      if (!ours || params.subject_token_type !== `${TYPE}id_token`) throw new errors.InvalidGrant("no ID token of ours");
      const assertion = randomUUID();
      said.set(assertion, { account: claims.sub, audience: params.audience, resource: params.resource });
      const issued_token_type = `${TYPE}id-jag`;
      context.body = { access_token: assertion, issued_token_type, token_type: "N_A", expires_in: 300 };
      return;
    }
    const subject = await provider.AccessToken.find(params.subject_token ?? "");
    const isToken = params.subject_token_type === `${TYPE}access_token`;
    if (!subject?.isValid || !isToken) throw new errors.InvalidGrant("no access token of ours");
    // RFC 8693 section 2.2.2: the code for a target that the server is unwilling to give a token for.
    if ((params.audience ?? null) !== audience) throw new errors.InvalidTarget("no audience of ours");
    await answerWithToken(context, subject.accountId, { issued_token_type: `${TYPE}access_token` });
  }

  async function redeem(context) {
    const { params } = context.oidc;
    const found = said.get(params.assertion);
    said.delete(params.assertion);
    const ours = found && found.audience === issuer && found.resource === params.resource;
    if (!ours) throw new errors.InvalidGrant("nothing of the kind was said");
    await answerWithToken(context, found.account);
  }

  const asked = ["subject_token", "subject_token_type", "requested_token_type", "audience", "resource", "scope"];
  provider.registerGrantType(TOKEN_EXCHANGE, exchange, asked, ["audience", "resource"]);
  provider.registerGrantType(JWT_BEARER, redeem, ["assertion", "resource", "scope"], ["resource"]);
}
