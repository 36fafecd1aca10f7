//! Reads a token endpoint's answer, as providers really send it: JSON or form-encoded, errors under
//! status 200, numbers as text, scopes with blanks, commas or as a list.

use crate::refusal::TokenError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_domain::{
    AccessToken, ErrorIn200, IdToken, ProviderAccount, ProviderFacts, RefreshToken, ScopeSeparator,
    Timestamp, TokenResponseFormat, TokenSet,
};
use doorward_outbound::OutboundResponse;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use std::time::Duration;

/// An error that the provider named (RFC 6749 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProviderError {
    pub(crate) code: String,
    pub(crate) description: Option<String>,
}

const CODE_MAX: usize = 64;
const DESCRIPTION_MAX: usize = 200;
/// No token lives longer than this: beyond it the number is taken for "no known end".
const LIFETIME_MAX: u64 = 100 * 366 * 24 * 3_600;

/// Turns an answer into a token set, or into what its failure means. `bound`: to a key of ours (RFC 9449).
pub(crate) fn read(
    answer: &OutboundResponse,
    facts: &ProviderFacts,
    bound: bool,
    now: Timestamp,
) -> Result<TokenSet, TokenError> {
    let Some(members) = members(&answer.body, facts.token_response_format) else {
        return Err(TokenError::unnamed(answer));
    };
    let at = |path: &Option<String>, usual: &str| found(&members, path.as_deref(), usual);
    let access_token = at(&facts.access_token_path, "access_token").and_then(filled);
    let error_counts =
        !answer.status.is_success() || access_token.is_none() || facts.error_in_200 != ErrorIn200::Never;
    if let Some(error) = provider_error(&members, facts.error_in_200).filter(|_| error_counts) {
        return Err(TokenError::named(error, &answer.headers));
    }
    let unreadable = |why: &str| TokenError::Unanswered { why: why.to_owned() };
    if !answer.status.is_success() {
        return Err(TokenError::unnamed(answer));
    }
    let Some(access_token) = access_token else {
        return Err(unreadable("no access_token in the answer"));
    };
    // RFC 6749 §5.1 requires token_type; some leave it out. What it names must be ours to send.
    let kind = text(&members, "token_type");
    match kind {
        // RFC 9449 §5: an unbound token instead of a bound one is not taken.
        _ if bound && !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("dpop")) => {
            return Err(unreadable("the token is not bound to our key (DPoP)"));
        }
        Some(kind) if !bound && !is_bearer(kind, facts) => {
            return Err(unreadable("the token is not of type Bearer"));
        }
        Some(_) | None => {}
    }
    let separator = facts.scope_separator_response;
    Ok(TokenSet {
        access_token: AccessToken::new(access_token),
        refresh_token: at(&facts.refresh_token_path, "refresh_token").and_then(filled).map(RefreshToken::new),
        expires_at: expiry(at(&facts.expires_in_path, "expires_in"), access_token, facts, now),
        scopes: at(&facts.scope_path, "scope").and_then(|given| scopes(given, separator)),
        account: text(&members, "id_token").and_then(account),
        id_token: text(&members, "id_token").map(IdToken::new),
    })
}

/// Reads the answer to a token exchange that was asked for something other than an access token (RFC 8693 §2.2.1):
/// it stands in `access_token` all the same, and must be what was asked for.
pub(crate) fn read_issued(answer: &OutboundResponse, kind: &str) -> Result<String, TokenError> {
    let Some(members) = members(&answer.body, TokenResponseFormat::Json) else {
        return Err(TokenError::unnamed(answer));
    };
    if let Some(error) = provider_error(&members, ErrorIn200::Never) {
        return Err(TokenError::named(error, &answer.headers));
    }
    if !answer.status.is_success() {
        return Err(TokenError::unnamed(answer));
    }
    let unreadable = |why: &str| TokenError::Unanswered { why: why.to_owned() };
    if text(&members, "issued_token_type") != Some(kind) {
        return Err(unreadable("the provider issued something else than it was asked for"));
    }
    text(&members, "access_token").map(str::to_owned).ok_or_else(|| unreadable("nothing was issued"))
}

/// When an ID token ends by its own words (OpenID Connect Core §2); none where it does not say, or is none.
pub fn id_token_end(token: &IdToken) -> Option<Timestamp> {
    jwt_end(token.expose_secret())
}

/// Some providers name the kind of account where the kind of token belongs.
fn is_bearer(kind: &str, facts: &ProviderFacts) -> bool {
    kind.eq_ignore_ascii_case("bearer") || facts.token_types.iter().any(|known| known == kind)
}

/// A lifetime that is none is overlooked: to drop the tokens for it would lose a grant whose refresh token is
/// spent by now.
fn expiry(
    lifetime: Option<&Value>,
    access_token: &str,
    facts: &ProviderFacts,
    now: Timestamp,
) -> Option<Timestamp> {
    let usual = || facts.expires_in_default.map(|seconds| now.plus(Duration::from_secs(seconds.into())));
    let said = lifetime.and_then(|given| end(given, now));
    said.unwrap_or_else(|| jwt_end(access_token).or_else(usual))
}

/// A member at its own place, else at the usual one: Slack's refresh answers are flat, its others are not.
fn found<'a>(members: &'a Map<String, Value>, path: Option<&str>, usual: &str) -> Option<&'a Value> {
    path.and_then(|path| at(members, path)).or_else(|| members.get(usual))
}

/// What stands at `a.b`.
pub(crate) fn at<'a>(members: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => members.get(path),
        Some((first, rest)) => at(members.get(first)?.as_object()?, rest),
    }
}

/// A text; an empty one is absent (R10).
fn filled(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// The members of a JSON object, or of a form (GitHub's default). What comes unannounced has to look like one.
fn members(body: &[u8], format: TokenResponseFormat) -> Option<Map<String, Value>> {
    if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
        return Some(members);
    }
    let body = std::str::from_utf8(body).ok()?.trim();
    let announced = format == TokenResponseFormat::Form;
    let form_like = body.contains('=') && (announced || !body.contains(['<', '{', '\n', ' ']));
    let pairs = url::form_urlencoded::parse(body.as_bytes());
    form_like
        .then(|| pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
}

/// A text member; an empty one is absent (R10).
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(filled)
}

/// `error`, as a text or an object with a code; or Slack's `ok: false`.
fn provider_error(members: &Map<String, Value>, in_200: ErrorIn200) -> Option<ProviderError> {
    let named = match members.get("error") {
        Some(Value::String(code)) if !code.is_empty() => Some(code.as_str()),
        Some(Value::Object(error)) => {
            text(error, "code").or_else(|| text(error, "type")).or(Some("unknown_error"))
        }
        _ => None,
    };
    let not_ok = match members.get("ok") {
        Some(ok) => *ok == Value::Bool(false),
        None => in_200 == ErrorIn200::OkFalse,
    };
    let code = named.or_else(|| not_ok.then_some("unknown_error"))?;
    Some(ProviderError {
        code: plain(code, CODE_MAX).replace(' ', "_"),
        description: text(members, "error_description").map(|words| plain(words, DESCRIPTION_MAX)),
    })
}

/// The error code in an answer of any endpoint, cut to printable characters.
pub(crate) fn error_code(body: &[u8]) -> Option<String> {
    let members = members(body, TokenResponseFormat::Json)?;
    Some(provider_error(&members, ErrorIn200::Never)?.code)
}

/// Printable ASCII (RFC 6749 §5.2 allows no other), cut.
fn plain(words: &str, max: usize) -> String {
    words.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(max).collect()
}

/// The end of a lifetime in seconds: a number or digits as text; zero has ended, a huge one has no
/// known end, and anything else is no lifetime (R20).
fn end(given: &Value, now: Timestamp) -> Option<Option<Timestamp>> {
    let seconds = match given {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?))?,
        Value::String(digits) if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() => {
            digits.parse().unwrap_or(u64::MAX)
        }
        _ => return None,
    };
    Some((seconds <= LIFETIME_MAX).then(|| now.plus(Duration::from_secs(seconds))))
}

/// A number such as `3600.0` or `1e30`; negative ones are none.
fn whole(number: f64) -> Option<u64> {
    (number >= 0.0).then_some(if number > LIFETIME_MAX as f64 { u64::MAX } else { number as u64 })
}

/// RFC 6749 §3.3 says blanks; GitHub answers commas; some send a list.
fn scopes(given: &Value, separator: Option<ScopeSeparator>) -> Option<Vec<String>> {
    let separators: &[char] = match separator {
        None => &[' ', ','],
        Some(ScopeSeparator::Space) => &[' '],
        Some(ScopeSeparator::Comma) => &[','],
    };
    match given {
        Value::String(text) => {
            let words = text.split(separators).map(str::trim).filter(|word| !word.is_empty());
            Some(words.map(str::to_owned).collect())
        }
        Value::Array(list) => list.iter().map(|scope| scope.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// The `exp` of an access token that happens to be a JWT: a hint of its end, so it is not verified.
fn jwt_end(token: &str) -> Option<Timestamp> {
    let seconds = claims(token)?.get("exp")?.as_i64()?;
    (seconds > 0).then(|| Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

/// Who authorized, by the ID token. It came straight from the token endpoint over a checked
/// connection, so its signature need not be verified (OpenID Connect Core §3.1.3.7 item 6).
fn account(id_token: &str) -> Option<ProviderAccount> {
    let claims = claims(id_token)?;
    let subject = text(&claims, "sub")?.to_owned();
    let name = ["preferred_username", "email", "name"].iter().find_map(|claim| text(&claims, claim));
    Some(ProviderAccount {
        subject,
        name: name.map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect()),
    })
}

fn claims(jwt: &str) -> Option<Map<String, Value>> {
    let mut parts = jwt.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
#[path = "token_response_tests.rs"]
mod tests;
