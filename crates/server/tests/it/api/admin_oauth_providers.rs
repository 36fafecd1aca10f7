//! `/admin/oauth/providers`, and gateways that are filled in from them.

use doorward_domain::Audience;
use doorward_testkit::app::TestApp;
use serde_json::{Value, json};

fn github(more: &Value) -> Value {
    let mut authorization =
        json!({"type": "oauth", "provider_template": "github", "client_id": "c", "client_secret": "s"});
    for (name, value) in more.as_object().unwrap() {
        authorization[name] = value.clone();
    }
    json!({"url": "http://127.0.0.1:9/mcp", "slug": "gh", "authorization": authorization})
}

#[tokio::test]
async fn s9_the_templates_are_listed_for_administrators() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let listed = admin.get("/admin/oauth/providers").await.json;
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["GitHub", "Google", "Microsoft Entra ID"]);
    let github = admin.get("/admin/oauth/providers/github").await.json;
    assert_eq!(github["authorization_url"], "https://github.com/login/oauth/authorize");
    assert_eq!(github["token_url"], "https://github.com/login/oauth/access_token");
    assert_eq!(github["sources"]["oauth.token_url"]["sure"], "high");
    let okta = admin.get("/admin/oauth/providers/okta").await.json;
    assert_eq!(okta["inputs"]["domain"]["kind"], "host");
    assert_eq!(admin.get("/admin/oauth/providers/nobody").await.status, 404);
    let alice = app.client(&app.user("alice").await, Audience::Admin).await;
    for path in ["/admin/oauth/providers", "/admin/oauth/providers/github"] {
        assert_eq!(alice.get(path).await.status, 403);
    }
}

#[tokio::test]
async fn s9_a_gateway_is_filled_in_from_a_template_and_keeps_the_values() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let made = admin.post("/gateways", &github(&json!({}))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let authorization = &made.json["authorization"];
    assert_eq!(authorization["authorization_url"], "https://github.com/login/oauth/authorize");
    assert_eq!(authorization["token_url"], "https://github.com/login/oauth/access_token");
    assert_eq!(authorization["facts"]["error_in_200"], "error");
    assert_eq!(authorization["facts"]["whoami"]["name_path"], "login");
    assert_eq!(authorization["token_endpoint_auth"], "post");
    assert_eq!(authorization["provider_template"], "github");
    assert_eq!(made.json["newer_template_version"], Value::Null);

    let mut again = made.json["authorization"].clone();
    again.as_object_mut().unwrap().remove("has_client_secret");
    let path = format!("/gateways/{}", made.json["id"].as_str().unwrap());
    let same = admin.put(&path, &json!({"authorization": again})).await;
    assert_eq!((same.status, &same.json["authorization"]), (200, &made.json["authorization"]), "{same:?}");

    let own = json!({"scopes": ["gist"], "revocation_url": null, "facts": {"idle_death_days": 7}});
    let edited = admin.put(&path, &github(&own)).await;
    assert_eq!(edited.status, 200, "{edited:?}");
    let authorization = &edited.json["authorization"];
    assert_eq!(
        (&authorization["scopes"], &authorization["revocation_url"]),
        (&json!(["gist"]), &Value::Null)
    );
    assert_eq!(authorization["facts"]["idle_death_days"], 7);
    assert_eq!(authorization["facts"]["whoami"], Value::Null, "facts are given as a whole");
}

#[tokio::test]
async fn a_placeholder_that_is_missing_or_mistyped_is_named() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let with = |inputs: Value| {
        json!({"url": "http://127.0.0.1:9/mcp", "authorization":
            {"type": "oauth", "provider_template": "okta", "client_id": "c", "client_secret": "s",
             "provider_inputs": inputs}})
    };
    for (inputs, field) in [
        (json!({}), "authorization.provider_inputs.domain"),
        (json!({"domain": "https://acme.okta.com"}), "authorization.provider_inputs.domain"),
        (json!({"domain": "acme.okta.com/"}), "authorization.provider_inputs.domain"),
        (json!({"domain": "acme.okta.com@evil.example"}), "authorization.provider_inputs.domain"),
        (
            json!({"domain": "acme.okta.com", "auth_server_id": "a/b"}),
            "authorization.provider_inputs.auth_server_id",
        ),
        (json!({"domain": "acme.okta.com", "tenant": "x"}), "authorization.provider_inputs.tenant"),
    ] {
        let refused = admin.post("/gateways", &with(inputs.clone())).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{inputs}");
    }
    let made = admin.post("/gateways", &with(json!({"domain": "acme.okta.com"}))).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json["authorization"]["issuer"], "https://acme.okta.com/oauth2/default");
    assert_eq!(made.json["authorization"]["provider_inputs"]["domain"], "acme.okta.com");
    let unknown = json!({"url": "http://127.0.0.1:9/mcp", "authorization":
        {"type": "oauth", "provider_template": "nobody", "client_id": "c"}});
    let refused = admin.post("/gateways", &unknown).await;
    assert_eq!(refused.problem().0, Some("authorization.provider_template"));
}

#[tokio::test]
async fn facts_that_would_send_tokens_elsewhere_are_refused() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let whoami = |url: &str| json!({"whoami": {"url": url, "subject_path": "id"}});
    for (facts, field) in [
        (json!({"refresh_url": "https://evil.example/refresh"}), "refresh_url"),
        (json!({"replay_safe": true, "refresh_rotation": "always_single_use"}), "replay_safe"),
        (json!({"scope_param": "state"}), "scope_param"),
        (json!({"access_token_path": "a..b"}), "access_token_path"),
        (whoami("https://evil.example/me"), "whoami.url"),
        (whoami("https://api.github.com.evil.example/user"), "whoami.url"),
        (json!({"replay": true}), "replay"),
        (json!({"request_only_scopes": ["a b"]}), "request_only_scopes"),
    ] {
        let refused = admin.post("/gateways", &github(&json!({"facts": facts}))).await;
        let named = format!("authorization.facts.{field}");
        assert_eq!((refused.status, refused.problem().0), (400, Some(named.as_str())), "{facts}");
    }
    let made =
        admin.post("/gateways", &github(&json!({"facts": whoami("https://api.github.com/user")}))).await;
    assert_eq!(made.status, 201, "{made:?}");
}
