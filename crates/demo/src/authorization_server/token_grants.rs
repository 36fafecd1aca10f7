//! What a code or a refresh token is exchanged for, and the checks on the way.

use super::client::Client;
use super::ledger::{Permission, Refusal};
use super::token_answer::{TokenRefusal, Tokens};
use super::{Shared, id_token};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_domain::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Redeems an authorization code (RFC 6749 §4.1.3).
pub(super) fn redeem_code(
    server: &Shared,
    client: &Client,
    form: &BTreeMap<String, String>,
) -> Result<Tokens, TokenRefusal> {
    let now = server.options.clock.now();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let (family, code) = server
        .with(|inner| inner.ledger.take_code(field("code"), now))
        .map_err(|_| TokenRefusal::new("invalid_grant", "the code is unknown, expired or used"))?;
    if code.permission.client_id != client.id || code.redirect_uri != field("redirect_uri") {
        return Err(TokenRefusal::new("invalid_grant", "the code was given to another client or redirect"));
    }
    if !proves(field("code_verifier"), &code.challenge) {
        return Err(TokenRefusal::new("invalid_grant", "the code_verifier does not match the challenge"));
    }
    check_resource(form, &code.permission)?;
    let refresh_token = server.options.refresh_tokens.then(|| server.new_secret("refresh"));
    Ok(issue(server, client, family, code.permission, refresh_token, now))
}

/// RFC 7636 §4.6, method S256.
fn proves(verifier: &str, challenge: &str) -> bool {
    let computed = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    verify_slices_are_equal(computed.as_bytes(), challenge.as_bytes()).is_ok()
}

/// Redeems a refresh token (RFC 6749 §6).
pub(super) fn refresh(
    server: &Shared,
    client: &Client,
    form: &BTreeMap<String, String>,
) -> Result<Tokens, TokenRefusal> {
    let token = form.get("refresh_token").map_or("", String::as_str);
    let (rotate, detect) = (server.options.rotate_refresh_tokens, server.options.reuse_detection);
    let redeemed = server.with(|inner| {
        let redeemed = inner.ledger.redeem_refresh_token(token, &client.id, rotate, detect);
        match &redeemed {
            Ok(_) => inner.log.refreshes += 1,
            Err(Refusal::Reused) => inner.log.refresh_token_reuses += 1,
            Err(Refusal::Unknown) => {}
        }
        redeemed
    });
    let (family, permission) = redeemed
        .map_err(|_| TokenRefusal::new("invalid_grant", "the refresh token is unknown, ended or used"))?;
    // Late on purpose, as at real providers: the token is spent by now, and a retry would be reuse.
    check_resource(form, &permission)?;
    let refresh_token = rotate.then(|| server.new_secret("refresh"));
    Ok(issue(server, client, family, permission, refresh_token, server.options.clock.now()))
}

/// A token for the client itself (RFC 6749 §4.4), which must have shown a secret. Its account is the client.
pub(super) fn own_tokens(
    server: &Shared,
    client: &Client,
    form: &BTreeMap<String, String>,
) -> Result<Tokens, TokenRefusal> {
    if client.secret.is_none() {
        return Err(TokenRefusal::new("unauthorized_client", "a public client cannot be authorized itself"));
    }
    let scopes = form.get("scope").map(|scope| scope.split(' ').map(str::to_owned).collect());
    let permission = Permission {
        account: client.id.clone(),
        client_id: client.id.clone(),
        scopes: scopes.unwrap_or_default(),
        resource: form.get("resource").cloned(),
    };
    let family = server.with(|inner| inner.ledger.new_family());
    Ok(issue(server, client, family, permission, None, server.options.clock.now()))
}

/// A token request may repeat the granted resource or leave it out (RFC 8707 §2.2).
fn check_resource(form: &BTreeMap<String, String>, permission: &Permission) -> Result<(), TokenRefusal> {
    match form.get("resource") {
        Some(asked) if permission.resource.as_ref() != Some(asked) => {
            Err(TokenRefusal::new("invalid_target", "the consent was given for another resource"))
        }
        Some(_) | None => Ok(()),
    }
}

fn issue(
    server: &Shared,
    client: &Client,
    family: u64,
    permission: Permission,
    refresh_token: Option<String>,
    now: Timestamp,
) -> Tokens {
    let lifetime = server.options.access_token_seconds;
    let expires_at = now.plus(Duration::from_secs(lifetime));
    let tokens = Tokens {
        access_token: server.new_secret("access"),
        refresh_token,
        expires_in: lifetime,
        scope: permission.scopes.join(" "),
        id_token: signed_id_token(server, client, &permission, now, expires_at),
    };
    server.with(|inner| {
        if let Some(refresh_token) = &tokens.refresh_token {
            inner.ledger.add_refresh_token(refresh_token.clone(), family, permission.clone());
        }
        inner.ledger.add_access_token(tokens.access_token.clone(), family, permission, expires_at);
    });
    tokens
}

/// Only a client with a secret gets one: the secret is the key, and an unsigned token is worth nothing.
fn signed_id_token(
    server: &Shared,
    client: &Client,
    permission: &Permission,
    now: Timestamp,
    end: Timestamp,
) -> Option<String> {
    let secret = client.secret.as_deref()?;
    let account = server.account(&permission.account)?;
    permission.scopes.iter().any(|scope| scope == "openid").then(|| {
        let (now, end) = (now.millis() / 1000, end.millis() / 1000);
        id_token::sign(&server.issuer, &client.id, secret, account, now, end)
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANY_PORT, Journey, post_token, refresh};
    use crate::{AuthorizationServerOptions, Demo};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use doorward_domain::{Clock, Timestamp};
    use serde_json::Value;
    use std::collections::BTreeMap;
    use std::time::Duration;

    async fn demo_with(change: impl FnOnce(&mut AuthorizationServerOptions)) -> Demo {
        let mut options = AuthorizationServerOptions::default();
        change(&mut options);
        Demo::start(ANY_PORT, ANY_PORT, options).await.unwrap()
    }

    async fn error_of(answer: reqwest::Response) -> (u16, String) {
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        (status, body["error"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_code_gives_tokens_for_one_account_and_one_resource() {
        let demo = demo_with(|_| ()).await;
        let tokens = Journey::of(&demo, "bob").tokens().await;
        assert_eq!((&tokens["token_type"], &tokens["scope"]), (&"Bearer".into(), &"openid notes".into()));
        let known = demo.authorization_server.shared().introspect(tokens["access_token"].as_str().unwrap());
        let known = known.unwrap();
        assert_eq!(
            (known.account.as_str(), known.resource.as_deref()),
            ("bob", Some(demo.mcp_server.url().as_str()))
        );

        let claims = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!((&claims["sub"], &claims["email"]), (&"bob".into(), &"bob@demo.example".into()));
        assert_eq!(claims["iss"], demo.authorization_server.issuer());
    }

    #[tokio::test]
    async fn a_code_is_bound_to_its_verifier_redirect_resource_and_single_use() {
        let demo = demo_with(|_| ()).await;
        let journey = Journey::of(&demo, "alice");
        for (change, error) in [
            (("code_verifier", "another"), "invalid_grant"),
            (("redirect_uri", "http://localhost/other"), "invalid_grant"),
            (("code", "another"), "invalid_grant"),
            (("resource", "https://elsewhere.example/"), "invalid_target"),
            (("grant_type", "password"), "unsupported_grant_type"),
        ] {
            let code = journey.redirect_after("allow").await["code"].clone();
            assert_eq!(error_of(journey.exchange(&code, &[change]).await).await, (400, error.to_owned()));
        }
        let code = journey.redirect_after("allow").await["code"].clone();
        let tokens: Value = journey.exchange(&code, &[]).await.json().await.unwrap();
        assert_eq!(error_of(journey.exchange(&code, &[]).await).await.1, "invalid_grant");
        let access_token = tokens["access_token"].as_str().unwrap();
        assert!(demo.authorization_server.shared().introspect(access_token).is_none());
    }

    #[tokio::test]
    async fn a_refresh_rotates_and_the_old_token_kills_the_family() {
        let demo = demo_with(|_| ()).await;
        let first = Journey::of(&demo, "alice").tokens().await;
        let second: Value = refresh(&demo, &first).await.json().await.unwrap();
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        assert_eq!(error_of(refresh(&demo, &first).await).await, (400, "invalid_grant".to_owned()));
        assert_eq!(error_of(refresh(&demo, &second).await).await.1, "invalid_grant");
        let log = demo.authorization_server.log();
        assert_eq!((log.refreshes, log.refresh_token_reuses), (1, 1));
        assert_eq!((log.token_requests_of("refresh_token"), log.consents), (3, 1));
        demo.authorization_server.clear_log();
        assert!(demo.authorization_server.log().token_requests.is_empty());
    }

    #[tokio::test]
    async fn a_wrong_resource_is_refused_after_the_refresh_token_was_spent() {
        let demo = demo_with(|_| ()).await;
        let tokens = Journey::of(&demo, "alice").tokens().await;
        let form = BTreeMap::from([
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
            ("resource", "https://elsewhere.example/"),
        ]);
        assert_eq!(error_of(post_token(&demo, &form).await).await.1, "invalid_target");
        assert_eq!(error_of(refresh(&demo, &tokens).await).await.1, "invalid_grant");
        assert_eq!(demo.authorization_server.log().refresh_token_reuses, 1);
    }

    #[tokio::test]
    async fn without_rotation_the_answer_names_no_refresh_token_and_the_old_one_stays() {
        let demo = demo_with(|options| options.rotate_refresh_tokens = false).await;
        let tokens = Journey::of(&demo, "alice").tokens().await;
        for _ in 0..2 {
            let refreshed: Value = refresh(&demo, &tokens).await.json().await.unwrap();
            assert!(refreshed["access_token"].is_string() && refreshed.get("refresh_token").is_none());
        }
    }

    #[tokio::test]
    async fn a_server_may_give_no_refresh_token_and_no_id_token() {
        let demo = demo_with(|options| options.refresh_tokens = false).await;
        let tokens = Journey::of(&demo, "alice").with("scope", "notes").tokens().await;
        assert_eq!((tokens.get("refresh_token"), tokens.get("id_token")), (None, None));
    }

    #[tokio::test]
    async fn access_tokens_end_by_the_clock_or_by_a_word() {
        let clock = Clock::mock(Timestamp::from_millis(1_800_000_000_000));
        let demo = demo_with(|options| options.clock = clock.clone()).await;
        let server = &demo.authorization_server;
        let is_alive =
            |tokens: &Value| server.shared().introspect(tokens["access_token"].as_str().unwrap()).is_some();
        let tokens = Journey::of(&demo, "alice").tokens().await;
        assert!(is_alive(&tokens));
        clock.advance(Duration::from_secs(3600));
        assert!(!is_alive(&tokens));

        let tokens: Value = refresh(&demo, &tokens).await.json().await.unwrap();
        assert!(is_alive(&tokens));
        server.end_access_tokens();
        assert!(!is_alive(&tokens));
        let tokens: Value = refresh(&demo, &tokens).await.json().await.unwrap();
        server.end_grants();
        assert!(!is_alive(&tokens));
        assert_eq!(error_of(refresh(&demo, &tokens).await).await.1, "invalid_grant");
    }
}
