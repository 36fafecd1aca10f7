//! How each vendor behaves, written down apart from the templates, so that a value that is wrong or missing in a
//! template makes the two disagree.

use super::{Answers, Body, ClientWay, Revoking, Rotation, VendorProfile, Whoami};

const BOOK: VendorProfile = VendorProfile::by_the_book();

const fn get(path: &'static str, answer: &'static str) -> Option<Whoami> {
    Some(Whoami { method: "GET", path, wants: None, wants_body: false, answer })
}

const fn post(path: &'static str, answer: &'static str) -> Option<Whoami> {
    Some(Whoami { method: "POST", path, wants: None, wants_body: false, answer })
}

const GITHUB: VendorProfile = VendorProfile {
    authorize: "/login/oauth/authorize",
    token: "/login/oauth/access_token",
    client: ClientWay::Either,
    answers: Answers::Form,
    answered_separator: Some(","),
    refuses_resource: true,
    rotation: Rotation::NoRefreshTokens,
    lifetime: None,
    revoking: Revoking::GithubDelete("/applications/client-1/token"),
    whoami: get("/user", r#"{"id":ID,"login":"NAME"}"#),
    ..BOOK
};

/// What the vendor of a template is like.
pub fn vendor_profile(id: &str) -> Option<VendorProfile> {
    Some(match id {
        "github" => GITHUB,
        "github-enterprise" => VendorProfile {
            revoking: Revoking::GithubDelete("/api/v3/applications/client-1/token"),
            whoami: get("/api/v3/user", r#"{"id":ID,"login":"NAME"}"#),
            ..GITHUB
        },
        "google" => VendorProfile {
            authorize: "/o/oauth2/v2/auth",
            offline_param: Some(("access_type", "offline")),
            only_at_fresh_consent: true,
            unanswered_scopes: &["openid", "email", "profile"],
            refuses_resource: true,
            rotation: Rotation::Stays,
            iss: Some(""),
            whoami: get("/v1/userinfo", r#"{"sub":"ID","email":"NAME"}"#),
            ..BOOK
        },
        "microsoft" => VendorProfile {
            authorize: "/contoso.onmicrosoft.com/oauth2/v2.0/authorize",
            token: "/contoso.onmicrosoft.com/oauth2/v2.0/token",
            offline_scope: Some("offline_access"),
            unanswered_scopes: &["offline_access", "openid", "profile", "email"],
            refuses_resource: true,
            refresh_wants_scope: true,
            rotation: Rotation::OldStaysValid,
            iss: Some("/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"),
            metadata: Some((
                "/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration",
                "/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
            )),
            revoking: Revoking::Nowhere,
            whoami: get("/oidc/userinfo", r#"{"sub":"ID","email":"NAME"}"#),
            ..BOOK
        },
        "okta" => VendorProfile {
            authorize: "/oauth2/default/v1/authorize",
            token: "/oauth2/default/v1/token",
            client: ClientWay::Basic,
            offline_scope: Some("offline_access"),
            unanswered_scopes: &["offline_access", "openid"],
            refuses_resource: true,
            rotation: Rotation::SingleUseAfter(30),
            iss: Some("/oauth2/default"),
            revoking: Revoking::Rfc7009("/oauth2/default/v1/revoke"),
            whoami: get("/oauth2/default/v1/userinfo", r#"{"sub":"ID","preferred_username":"NAME"}"#),
            ..BOOK
        },
        "auth0" => VendorProfile {
            token: "/oauth/token",
            api_wants: Some("audience"),
            offline_scope: Some("offline_access"),
            unanswered_scopes: &["offline_access", "openid", "profile", "email"],
            refuses_resource: true,
            refresh_days: Some(30),
            refused_refresh: 403,
            iss: Some("/"),
            revoking: Revoking::Rfc7009("/oauth/revoke"),
            whoami: get("/userinfo", r#"{"sub":"ID","email":"NAME"}"#),
            ..BOOK
        },
        "gitlab" => VendorProfile {
            authorize: "/oauth/authorize",
            token: "/oauth/token",
            refuses_resource: true,
            iss: Some(""),
            revoking: Revoking::Rfc7009("/oauth/revoke"),
            whoami: get("/api/v4/user", r#"{"id":ID,"username":"NAME"}"#),
            ..BOOK
        },
        other => return rest(other),
    })
}

fn rest(id: &str) -> Option<VendorProfile> {
    Some(match id {
        "atlassian" => VendorProfile {
            token: "/oauth/token",
            wants: Some(("audience", "api.atlassian.com")),
            offline_scope: Some("offline_access"),
            unanswered_scopes: &["offline_access"],
            refuses_resource: true,
            revoking: Revoking::Nowhere,
            whoami: get("/me", r#"{"account_id":"ID","email":"NAME"}"#),
            ..BOOK
        },
        "slack" => VendorProfile {
            authorize: "/oauth/v2/authorize",
            token: "/api/oauth.v2.access",
            client: ClientWay::Basic,
            answers: Answers::Slack,
            scope_param: "user_scope",
            scope_separator: ',',
            answered_separator: Some(","),
            refuses_resource: true,
            revoking: Revoking::Bearer("/api/auth.revoke"),
            whoami: post("/api/auth.test", r#"{"ok":true,"user_id":"ID","user":"NAME"}"#),
            ..BOOK
        },
        "notion" => VendorProfile {
            authorize: "/v1/oauth/authorize",
            token: "/v1/oauth/token",
            client: ClientWay::Basic,
            body: Body::Json,
            answered_separator: None,
            wants: Some(("owner", "user")),
            refuses_resource: true,
            revoking: Revoking::Rfc7009("/v1/oauth/revoke"),
            whoami: Some(Whoami {
                method: "GET",
                path: "/v1/users/me",
                wants: Some("notion-version"),
                wants_body: false,
                answer: r#"{"bot":{"owner":{"user":{"id":"ID","name":"NAME"}}}}"#,
            }),
            ..BOOK
        },
        "linear" => VendorProfile {
            authorize: "/oauth/authorize",
            token: "/oauth/token",
            scope_separator: ',',
            refuses_resource: true,
            revoking: Revoking::Rfc7009("/oauth/revoke"),
            whoami: Some(Whoami {
                method: "POST",
                path: "/graphql",
                wants: None,
                wants_body: true,
                answer: r#"{"data":{"viewer":{"id":"ID","email":"NAME"}}}"#,
            }),
            ..BOOK
        },
        "salesforce" => VendorProfile {
            authorize: "/services/oauth2/authorize",
            token: "/services/oauth2/token",
            offline_scope: Some("refresh_token"),
            unanswered_scopes: &["refresh_token", "openid"],
            refuses_resource: true,
            revoking: Revoking::Rfc7009("/services/oauth2/revoke"),
            whoami: get("/services/oauth2/userinfo", r#"{"user_id":"ID","preferred_username":"NAME"}"#),
            ..BOOK
        },
        "keycloak" => VendorProfile {
            authorize: "/realms/acme/protocol/openid-connect/auth",
            token: "/realms/acme/protocol/openid-connect/token",
            unanswered_scopes: &["openid"],
            client: ClientWay::Basic,
            refuses_resource: true,
            iss: Some("/realms/acme"),
            revoking: Revoking::Rfc7009("/realms/acme/protocol/openid-connect/revoke"),
            whoami: get(
                "/realms/acme/protocol/openid-connect/userinfo",
                r#"{"sub":"ID","preferred_username":"NAME"}"#,
            ),
            ..BOOK
        },
        other => return small(other),
    })
}

fn small(id: &str) -> Option<VendorProfile> {
    Some(match id {
        "bitbucket" => VendorProfile {
            authorize: "/site/oauth2/authorize",
            token: "/site/oauth2/access_token",
            client: ClientWay::Basic,
            refuses_resource: true,
            rotation: Rotation::Stays,
            revoking: Revoking::Nowhere,
            whoami: get("/2.0/user", r#"{"uuid":"ID","display_name":"NAME"}"#),
            ..BOOK
        },
        "dropbox" => VendorProfile {
            authorize: "/oauth2/authorize",
            token: "/oauth2/token",
            offline_param: Some(("token_access_type", "offline")),
            refuses_resource_with_tokens: true,
            rotation: Rotation::Stays,
            revoking: Revoking::Bearer("/2/auth/token/revoke"),
            whoami: post("/2/users/get_current_account", r#"{"account_id":"ID","email":"NAME"}"#),
            ..BOOK
        },
        "hubspot" => VendorProfile {
            authorize: "/oauth/authorize",
            token: "/oauth/2026-03/token",
            client: ClientWay::Post,
            refuses_resource: true,
            rotation: Rotation::Stays,
            revoking: Revoking::Rfc7009("/oauth/2026-03/token/revoke"),
            ..BOOK
        },
        "zoom" => VendorProfile {
            authorize: "/oauth/authorize",
            token: "/oauth/token",
            client: ClientWay::Basic,
            refuses_resource: true,
            revoking: Revoking::Rfc7009("/oauth/revoke"),
            whoami: get("/v2/users/me", r#"{"id":"ID","email":"NAME"}"#),
            ..BOOK
        },
        "asana" => VendorProfile {
            authorize: "/-/oauth_authorize",
            token: "/-/oauth_token",
            refuses_resource: true,
            rotation: Rotation::Stays,
            revoking: Revoking::Rfc7009("/-/oauth_revoke"),
            whoami: get("/api/1.0/users/me", r#"{"data":{"gid":"ID","email":"NAME"}}"#),
            ..BOOK
        },
        "figma" => VendorProfile {
            authorize: "/oauth",
            token: "/v1/oauth/token",
            refresh: Some("/v1/oauth/refresh"),
            client: ClientWay::Basic,
            refuses_resource: true,
            rotation: Rotation::Stays,
            revoking: Revoking::Nowhere,
            whoami: get("/v1/me", r#"{"id":"ID","email":"NAME"}"#),
            ..BOOK
        },
        "box" => VendorProfile {
            authorize: "/api/oauth2/authorize",
            token: "/oauth2/token",
            client: ClientWay::Post,
            refuses_resource: true,
            revoking: Revoking::Rfc7009("/oauth2/revoke"),
            whoami: get("/2.0/users/me", r#"{"id":"ID","login":"NAME"}"#),
            ..BOOK
        },
        "discord" => VendorProfile {
            authorize: "/oauth2/authorize",
            token: "/api/oauth2/token",
            client: ClientWay::Basic,
            refuses_resource: true,
            revoking: Revoking::Rfc7009("/api/oauth2/token/revoke"),
            whoami: get("/api/users/@me", r#"{"id":"ID","username":"NAME"}"#),
            ..BOOK
        },
        _ => return None,
    })
}
