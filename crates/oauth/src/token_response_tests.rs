use super::*;
use crate::RefusalKind;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use secrecy::ExposeSecret;
use std::sync::LazyLock;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

static BOOK: LazyLock<ProviderFacts> = LazyLock::new(ProviderFacts::default);

fn answer(status: u16, body: &str) -> OutboundResponse {
    OutboundResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("7"))]),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn tokens(body: &str) -> TokenSet {
    tokens_by(&ProviderFacts::default(), body)
}

fn tokens_by(facts: &ProviderFacts, body: &str) -> TokenSet {
    read(&answer(200, body), facts, false, NOW).unwrap()
}

#[test]
fn the_facts_say_where_things_stand_and_what_a_form_is() {
    let facts = ProviderFacts {
        access_token_path: Some("authed_user.access_token".into()),
        refresh_token_path: Some("authed_user.refresh_token".into()),
        expires_in_path: Some("authed_user.expires_in".into()),
        scope_path: Some("authed_user.scope".into()),
        scope_separator_response: Some(ScopeSeparator::Comma),
        token_types: vec!["user".into()],
        error_in_200: ErrorIn200::OkFalse,
        ..ProviderFacts::default()
    };
    let nested = r#"{"ok":true,"access_token":"bot","token_type":"user","authed_user":{"access_token":"a","refresh_token":"r","expires_in":60,"scope":"x y,z"}}"#;
    let set = tokens_by(&facts, nested);
    assert_eq!(
        (set.access_token.expose_secret(), set.scopes.unwrap()),
        ("a", vec!["x y".into(), "z".into()])
    );
    assert_eq!(set.refresh_token.unwrap().expose_secret(), "r");
    assert_eq!(set.expires_at, Some(NOW.plus(Duration::from_secs(60))));
    let flat = tokens_by(&facts, r#"{"ok":true,"access_token":"b","token_type":"user"}"#);
    assert_eq!(flat.access_token.expose_secret(), "b", "a refresh answers at the usual place");
    assert!(
        read(&answer(200, r#"{"access_token":"b"}"#), &facts, false, NOW).is_err(),
        "without ok it is none"
    );
    let form = ProviderFacts { token_response_format: TokenResponseFormat::Form, ..ProviderFacts::default() };
    let odd = "access_token=a&scope=repo, user&note=<b>";
    assert_eq!(tokens_by(&form, odd).scopes.unwrap(), ["repo", "user"]);
    assert!(read(&answer(200, odd), &BOOK, false, NOW).is_err());
}

#[test]
fn tokens_beside_an_error_are_kept_unless_the_facts_say_that_the_error_counts() {
    let both = r#"{"access_token":"a","error":"invalid_grant"}"#;
    assert_eq!(tokens(both).access_token.expose_secret(), "a");
    let facts = ProviderFacts { error_in_200: ErrorIn200::Error, ..ProviderFacts::default() };
    assert!(matches!(read(&answer(200, both), &facts, false, NOW), Err(TokenError::Refused { .. })));
}

#[test]
fn a_lifetime_that_is_not_said_is_the_providers_usual_one_where_that_is_known() {
    let facts = ProviderFacts { expires_in_default: Some(7_200), ..ProviderFacts::default() };
    let usual = Some(NOW.plus(Duration::from_secs(7_200)));
    assert_eq!(tokens_by(&facts, r#"{"access_token":"a"}"#).expires_at, usual);
    assert_eq!(tokens_by(&facts, r#"{"access_token":"a","expires_in":0}"#).expires_at, Some(NOW));
}

#[test]
fn answers_are_read_as_providers_send_them() {
    let github = tokens("access_token=gho_1&scope=repo%2Cgist&token_type=bearer");
    assert_eq!(github.access_token.expose_secret(), "gho_1");
    assert_eq!(github.scopes.unwrap(), ["repo", "gist"]);
    assert_eq!(github.expires_at, None);
    let plain = tokens(r#"{"access_token":"a","refresh_token":"","scope":"x y","expires_in":"3600"}"#);
    assert!(plain.refresh_token.is_none(), "R10: an empty refresh token is absent");
    assert_eq!(plain.expires_at, Some(NOW.plus(Duration::from_secs(3_600))));
    assert_eq!(tokens(r#"{"access_token":"a","scope":["x","y"]}"#).scopes.unwrap(), ["x", "y"]);
    assert_eq!(tokens(r#"{"access_token":"a","scope":7}"#).scopes, None);
    assert!(
        tokens(r#"{"access_token":"a","refresh_token":"r","token_type":"BEARER"}"#).refresh_token.is_some()
    );
}

#[test]
fn r20_a_lifetime_is_a_number_or_there_is_none() {
    let with = |value: &str| {
        read(&answer(200, &format!(r#"{{"access_token":"a","expires_in":{value}}}"#)), &BOOK, false, NOW)
    };
    assert_eq!(with("0").unwrap().expires_at, Some(NOW));
    assert_eq!(with("null").unwrap().expires_at, None);
    assert_eq!(with("60.0").unwrap().expires_at, Some(NOW.plus(Duration::from_secs(60))));
    for huge in ["1e300", "18446744073709551615", "99999999999999999999", "\"99999999999999999999999\""] {
        assert_eq!(with(huge).unwrap().expires_at, None, "{huge}");
    }
    for bad in ["-1", "\"3600abc\"", "\"-5\"", "\"\"", "true", "[]"] {
        assert_eq!(with(bad).unwrap().expires_at, None, "{bad}: nothing is invented, and nothing is lost");
    }
}

#[test]
fn a_jwt_tells_its_end_and_an_id_token_its_account() {
    let jwt = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
    let body = format!(r#"{{"access_token":"{}"}}"#, jwt(r#"{"exp":5000}"#));
    assert_eq!(tokens(&body).expires_at, Some(Timestamp::from_millis(5_000_000)));
    let body = format!(r#"{{"access_token":"a.b.c","id_token":"{}"}}"#, jwt(r#"{"sub":"42","email":"a@b"}"#));
    let set = tokens(&body);
    assert_eq!(set.expires_at, None);
    assert_eq!(set.account, Some(ProviderAccount { subject: "42".into(), name: Some("a@b".into()) }));
    assert_eq!(tokens(r#"{"access_token":"a","id_token":"nonsense"}"#).account, None);
}

#[test]
fn r13_r14_r17_a_failure_means_what_the_table_says() {
    let kind_of = |status: u16, body: &str| match read(&answer(status, body), &BOOK, false, NOW).unwrap_err()
    {
        TokenError::Refused { kind: RefusalKind::Grant, .. } => "grant",
        TokenError::Refused { kind: RefusalKind::Registration, .. } => "registration",
        TokenError::Temporary { retry_after, .. } => {
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
            "temporary"
        }
        TokenError::Unanswered { .. } => "unanswered",
        TokenError::NotSent { .. } => "not sent",
    };
    let table = [
        (400, r#"{"error":"invalid_grant"}"#, "grant"),
        (403, r#"{"error":"invalid_grant","error_description":"reuse"}"#, "grant"),
        (200, r#"{"error":"bad_refresh_token"}"#, "grant"),
        (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#, "grant"),
        (403, r#"{"error":"invalid_code"}"#, "grant"),
        (400, "", "grant"),
        (401, r#"{"error":"invalid_client"}"#, "registration"),
        (400, r#"{"error":"unauthorized_client"}"#, "registration"),
        (400, r#"{"error":"invalid_request"}"#, "registration"),
        (400, r#"{"error":"invalid_scope"}"#, "registration"),
        (400, r#"{"error":"invalid_target"}"#, "registration"),
        (400, r#"{"error":{"code":"odd"}}"#, "registration"),
        (400, r#"{"error":{}}"#, "registration"),
        (200, "error=incorrect_client_credentials&error_description=x", "registration"),
        (200, r#"{"ok":false}"#, "registration"),
        (401, "", "registration"),
        (403, " \n", "registration"),
        (200, r#"{"access_token":"a","token_type":"DPoP"}"#, "unanswered"),
        (503, "", "temporary"),
        (429, r#"{"message":"slow"}"#, "temporary"),
        (400, r#"{"error":"temporarily_unavailable"}"#, "temporary"),
        (500, r#"{"error":"server_error"}"#, "temporary"),
        (403, "<html>Forbidden by the firewall</html>", "temporary"),
        (400, "<html>oops</html>", "temporary"),
        (302, "", "temporary"),
        (404, "not found", "temporary"),
        (200, "<html>login</html>", "unanswered"),
        (200, "", "unanswered"),
        (200, "{}", "unanswered"),
        (200, r#"{"access_token":""}"#, "unanswered"),
        (200, r#"{"access_token":5}"#, "unanswered"),
        (200, "[1,2]", "unanswered"),
    ];
    for (status, body, expected) in table {
        assert_eq!(kind_of(status, body), expected, "{status} {body}");
    }
}

#[test]
fn r39_errors_show_no_secret_and_no_control_characters() {
    let body = "{\"error\":\"invalid_grant\\u0000\",\"error_description\":\"a\\u001b[31mb\",\"refresh_token\":\"canary\"}";
    let error = read(&answer(400, body), &BOOK, false, NOW).unwrap_err();
    assert_eq!(
        error,
        TokenError::Refused {
            kind: RefusalKind::Grant,
            code: "invalid_grant".into(),
            description: Some("a[31mb".into())
        }
    );
    assert!(!format!("{error} {error:?}").contains("canary"));
    let set = tokens(r#"{"access_token":"canary-a","refresh_token":"canary-r"}"#);
    assert!(!format!("{set:?}").contains("canary"));
}

proptest! {
    #[test]
    fn any_answer_at_all_is_read_without_a_panic(status in 200_u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let answer = OutboundResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(body),
        };
        let _ = read(&answer, &BOOK, false, NOW);
    }

    #[test]
    fn any_lifetime_at_all_is_read_without_a_panic(lifetime in any::<f64>(), digits in "[0-9]{0,30}") {
        let _ = read(&answer(200, &format!(r#"{{"access_token":"a.b.c","expires_in":{lifetime}}}"#)), &BOOK, false, NOW);
        let _ = read(&answer(200, &format!(r#"{{"access_token":"a.b.c","expires_in":"{digits}"}}"#)), &BOOK, false, NOW);
    }
}

#[test]
fn a_token_that_was_to_be_bound_to_our_key_and_is_not_is_none() {
    let bound = |kind: &str| {
        read(&answer(200, &format!(r#"{{"access_token":"a","token_type":"{kind}"}}"#)), &BOOK, true, NOW)
    };
    assert!(bound("DPoP").is_ok() && bound("dpop").is_ok());
    assert!(bound("Bearer").is_err());
    assert!(read(&answer(200, r#"{"access_token":"a"}"#), &BOOK, true, NOW).is_err());
    assert!(read(&answer(200, r#"{"access_token":"a","token_type":"DPoP"}"#), &BOOK, false, NOW).is_err());
}
