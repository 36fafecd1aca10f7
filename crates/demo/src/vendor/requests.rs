//! What a vendor is asked, and how it takes it.

use super::answers::{Answer, Given};
use super::book::Grant;
use super::{Body, ClientWay, Revoking, Rotation, Shared, VENDOR_CLIENT};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use doorward_domain::Entropy;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use url::form_urlencoded;

type Pairs = BTreeMap<String, String>;

/// A request.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }

    /// The parameters of a token request; none where it is not written as the vendor wants it.
    fn parameters(&self, body: Body) -> Option<Pairs> {
        let is_json = self.header("content-type").starts_with("application/json");
        match body {
            Body::Form if !is_json => Some(form_urlencoded::parse(&self.body).into_owned().collect()),
            Body::Json if is_json => serde_json::from_slice(&self.body).ok(),
            Body::Form | Body::Json => None,
        }
    }

    fn shows_client(&self, way: ClientWay, pairs: &Pairs) -> bool {
        let (id, secret) = VENDOR_CLIENT;
        let field = |name: &str| pairs.get(name).map_or("", String::as_str);
        let by_post = (field("client_id"), field("client_secret")) == (id, secret);
        let by_basic =
            self.header("authorization") == format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        match way {
            ClientWay::Basic => by_basic,
            ClientWay::Post => by_post,
            ClientWay::Either => by_basic || by_post,
        }
    }
}

/// What the vendor says of itself; like Microsoft, without a word on PKCE.
pub(super) fn metadata(vendor: &Shared) -> Answer {
    let (base, profile) = (&vendor.base, &vendor.profile);
    let issuer = profile.metadata.map_or("", |(_, issuer)| issuer);
    Answer::Json(
        StatusCode::OK,
        serde_json::json!({
            "issuer": format!("{base}{issuer}"),
            "authorization_endpoint": format!("{base}{}", profile.authorize),
            "token_endpoint": format!("{base}{}", profile.token),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }),
    )
}

/// The authorization endpoint: the account agrees, if the request is as the vendor wants it.
pub(super) fn authorize(vendor: &Shared, asked: &Asked) -> Answer {
    let profile = &vendor.profile;
    let query: Pairs =
        form_urlencoded::parse(asked.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    let has = |(name, value): (&str, &str)| field(name) == value;
    let back = |name: &str, value: &str| {
        let mut answer = form_urlencoded::Serializer::new(String::new());
        answer.append_pair(name, value).append_pair("state", field("state"));
        if let Some(iss) = profile.iss {
            answer.append_pair("iss", &format!("{}{iss}", vendor.base));
        }
        Answer::Redirect(format!("{}?{}", field("redirect_uri"), answer.finish()))
    };
    if field("client_id") != VENDOR_CLIENT.0 || field("code_challenge_method") != "S256" {
        return back("error", "invalid_request");
    }
    if profile.refuses_resource && query.contains_key("resource") {
        return back("error", "invalid_target");
    }
    if !profile.wants.is_none_or(has) {
        return back("error", "invalid_request");
    }
    let scopes: Vec<String> =
        field(profile.scope_param).split(profile.scope_separator).map(str::to_owned).collect();
    if scopes.iter().any(|scope| scope.contains([' ', ','])) {
        return back("error", "invalid_scope");
    }
    let again = vendor.with(|inner| inner.book.consents > 0);
    let fresh = !profile.only_at_fresh_consent || !again || field("prompt") == "consent";
    let by_scope = profile.offline_scope.is_none_or(|wanted| scopes.iter().any(|scope| scope == wanted));
    let code = format!("code-{}", Entropy.token());
    vendor.with(|inner| {
        let grant = Grant {
            account: inner.account.clone(),
            scopes: scopes.into_iter().filter(|scope| !scope.is_empty()).collect(),
            challenge: field("code_challenge").to_owned(),
            offline: fresh && by_scope && profile.offline_param.is_none_or(has),
            renews_until: profile
                .refresh_days
                .map(|days| vendor.clock.now().plus(Duration::from_secs(u64::from(days) * 86_400))),
            opens_api: profile.api_wants.is_none_or(|name| query.contains_key(name)),
        };
        inner.book.consent(code.clone(), grant);
    });
    back("code", &code)
}

/// The token endpoint, and the refresh endpoint where there is one.
pub(super) fn token(vendor: &Shared, asked: &Asked) -> Answer {
    let profile = &vendor.profile;
    let Some(pairs) = asked.parameters(profile.body) else { return profile.refused(400, "invalid_request") };
    if !asked.shows_client(profile.client, &pairs) {
        return profile.refused(401, "invalid_client");
    }
    let field = |name: &str| pairs.get(name).map_or("", String::as_str);
    vendor.with(|inner| inner.log.push(field("grant_type").to_owned()));
    let with_resource = pairs.contains_key("resource");
    let refused = (profile.refuses_resource || profile.refuses_resource_with_tokens) && with_resource;
    let at_refresh = profile.refresh.unwrap_or(profile.token) == asked.uri.path();
    let answer = match field("grant_type") {
        "authorization_code" if refused => return profile.refused(400, "invalid_target"),
        "authorization_code" if asked.uri.path() == profile.token => redeem(vendor, &pairs),
        "refresh_token" if at_refresh => refresh(vendor, &pairs, refused),
        "client_credentials" if !refused => of_the_client(vendor, &pairs),
        _ => return profile.refused(400, "unsupported_grant_type"),
    };
    let lost = vendor.with(|inner| {
        let lost = inner.lose_answers;
        inner.lose_answers = lost.saturating_sub(1);
        lost
    });
    if lost > 0 { Answer::Lost } else { answer }
}

fn redeem(vendor: &Shared, pairs: &Pairs) -> Answer {
    let field = |name: &str| pairs.get(name).map_or("", String::as_str);
    let Some((number, grant)) = vendor.with(|inner| inner.book.take_code(field("code"))) else {
        return vendor.profile.refused(400, "invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, field("code_verifier").as_bytes()));
    if challenge != grant.challenge {
        return vendor.profile.refused(400, "invalid_grant");
    }
    let offline = grant.offline && vendor.profile.rotation != Rotation::NoRefreshTokens;
    hand_out(vendor, number, &grant, offline, true)
}

/// A token for the client itself (RFC 6749 §4.4); like Auth0, none without a word on which API it is for.
fn of_the_client(vendor: &Shared, pairs: &Pairs) -> Answer {
    if vendor.profile.api_wants.is_some_and(|name| !pairs.contains_key(name)) {
        return vendor.profile.refused(403, "access_denied");
    }
    let found = vendor.with(|inner| {
        let code = format!("code-{}", Entropy.token());
        let grant = Grant {
            account: inner.account.clone(),
            scopes: Vec::new(),
            challenge: String::new(),
            offline: false,
            renews_until: None,
            opens_api: true,
        };
        inner.book.consent(code.clone(), grant);
        inner.book.take_code(&code)
    });
    match found {
        Some((number, grant)) => hand_out(vendor, number, &grant, false, true),
        None => vendor.profile.refused(400, "invalid_grant"),
    }
}

fn refresh(vendor: &Shared, pairs: &Pairs, refused: bool) -> Answer {
    let (profile, token) = (&vendor.profile, pairs.get("refresh_token").map_or("", String::as_str));
    if profile.refresh_wants_scope && !pairs.contains_key("scope") {
        return profile.refused(400, "invalid_request");
    }
    let now = vendor.clock.now();
    let Some((number, grant)) = vendor.with(|inner| inner.book.redeem(token, profile.rotation, now)) else {
        return profile.refused(profile.refused_refresh, "invalid_grant");
    };
    // Late on purpose, as at real providers: the token is spent by now.
    if refused {
        return profile.refused(400, "invalid_target");
    }
    let another = !matches!(profile.rotation, Rotation::NoRefreshTokens | Rotation::Stays);
    hand_out(vendor, number, &grant, another, false)
}

fn hand_out(vendor: &Shared, number: usize, grant: &Grant, with_refresh: bool, first: bool) -> Answer {
    let access = format!("access-{}", Entropy.token());
    let refresh = with_refresh.then(|| format!("refresh-{}", Entropy.token()));
    let lifetime = vendor.profile.lifetime.map(|seconds| Duration::from_secs(seconds.into()));
    let ends_at = lifetime.map(|lifetime| vendor.clock.now().plus(lifetime));
    vendor.with(|inner| inner.book.hand_out(number, access.clone(), refresh.clone(), ends_at));
    vendor.profile.given(&Given { access, refresh, scopes: grant.scopes.clone(), first })
}

/// Whose account the bearer is of.
pub(super) fn whoami(vendor: &Shared, asked: &Asked) -> Answer {
    let Some(whoami) = vendor.profile.whoami else {
        return Answer::Plain(StatusCode::NOT_FOUND, String::new());
    };
    let missing_header = whoami.wants.is_some_and(|name| asked.header(name).is_empty());
    if asked.method.as_str() != whoami.method || missing_header || whoami.wants_body && asked.body.is_empty()
    {
        return Answer::Plain(StatusCode::BAD_REQUEST, "not as it wants to be asked".to_owned());
    }
    let now = vendor.clock.now();
    let account =
        vendor.with(|inner| inner.book.lives(asked.bearer(), now).map(|grant| grant.account.clone()));
    let Some((id, name)) = account else { return Answer::Plain(StatusCode::UNAUTHORIZED, String::new()) };
    let text = whoami.answer.replace("ID", &id).replace("NAME", &name);
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => Answer::Json(StatusCode::OK, value),
        Err(error) => Answer::Plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Ends a consent.
pub(super) fn revoke(vendor: &Shared, asked: &Asked) -> Answer {
    let profile = &vendor.profile;
    let end = |token: &str| vendor.with(|inner| inner.book.end(token));
    match profile.revoking {
        Revoking::Nowhere => Answer::Plain(StatusCode::NOT_FOUND, String::new()),
        Revoking::Rfc7009(_) => {
            let pairs: Pairs = form_urlencoded::parse(&asked.body).into_owned().collect();
            if !asked.shows_client(profile.client, &pairs) {
                return profile.refused(401, "invalid_client");
            }
            end(pairs.get("token").map_or("", String::as_str));
            Answer::Plain(StatusCode::OK, String::new())
        }
        Revoking::GithubDelete(_) => {
            let body: Pairs = serde_json::from_slice(&asked.body).unwrap_or_default();
            let by_client = asked.shows_client(ClientWay::Basic, &body) && asked.method == Method::DELETE;
            let ended = by_client && end(body.get("access_token").map_or("", String::as_str));
            let status = if ended { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND };
            Answer::Plain(status, String::new())
        }
        Revoking::Bearer(_) if asked.method == Method::POST && end(asked.bearer()) => {
            Answer::Json(StatusCode::OK, serde_json::json!({ "ok": true }))
        }
        Revoking::Bearer(_) => {
            let status = if asked.headers.contains_key(header::AUTHORIZATION) { 401 } else { 400 };
            profile.refused(status, "invalid_auth")
        }
    }
}
