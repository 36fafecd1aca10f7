//! `/admin/oauth/tokens`: the list of all grants, one of them closely, counts, export.

use doorward_broker::{AuthorizationInput, GatewayInput};
use doorward_demo::{AuthorizationServerOptions, Demo};
use doorward_domain::{Audience, GatewayState, GrantOwner};
use doorward_testkit::app::{Person, TestApp, oauth_input};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// In every token, code and registered secret of the provider.
const CANARY: &str = "canary-of-the-list";

struct Stage {
    app: TestApp,
    demo: Demo,
    alice: Person,
    bob: Person,
}

/// Alice is connected to two gateways, Bob to one.
async fn stage() -> Stage {
    let app = TestApp::start().await;
    let options = AuthorizationServerOptions {
        client_secret: format!("{CANARY}-secret"),
        clock: app.clock.clone(),
        ..Default::default()
    };
    let demo = app.demo_with(options).await;
    demo.authorization_server.faults().canary(CANARY);
    for slug in ["hub", "mail"] {
        let mut settings = oauth_input(&demo);
        settings.scopes = vec!["openid".into(), "notes".into()];
        app.register_input(GatewayInput {
            slug: Some(slug.to_owned()),
            name: Some(slug.to_owned()),
            url: Some(demo.mcp_server.url().to_string()),
            state: Some(GatewayState::Published),
            access: None,
            on_change: None,
            era: None,
            tool_access: None,
            catalog_sharing: None,
            client_certificate: Default::default(),
            authorization: Some(AuthorizationInput::OAuth(Box::new(settings))),
        })
        .await;
    }
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    app.connect(&alice, "hub", &demo, "alice").await;
    app.clock.advance(Duration::from_secs(1));
    app.connect(&alice, "mail", &demo, "alice").await;
    app.clock.advance(Duration::from_secs(1));
    app.connect(&bob, "hub", &demo, "bob").await;
    Stage { app, demo, alice, bob }
}

fn items(answer: &doorward_testkit::client::Answer) -> &Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["items"].as_array().unwrap()
}

fn names(answer: &doorward_testkit::client::Answer) -> Vec<String> {
    let name = |item: &Value| {
        let (email, slug) = (&item["user"]["email"], &item["gateway"]["slug"]);
        format!("{} {}", email.as_str().unwrap(), slug.as_str().unwrap())
    };
    items(answer).iter().map(name).collect()
}

#[tokio::test]
async fn s1_an_administrator_sees_every_authorization_with_user_gateway_scopes_and_status() {
    let stage = stage().await;
    let list = stage.app.admin_client().await.get("/admin/oauth/tokens").await;
    assert_eq!(names(&list), ["bob@test.example hub", "alice@test.example mail", "alice@test.example hub"]);
    let bobs = &items(&list)[0];
    assert_eq!(bobs["user"]["id"], stage.bob.id.to_string());
    assert_eq!(bobs["account"]["name"], "bob");
    assert_eq!(bobs["provider"], stage.demo.authorization_server.issuer());
    assert!(!bobs["scopes"].as_array().unwrap().is_empty(), "{bobs}");
    assert_eq!((&bobs["health"], &bobs["access_token_status"]), (&json!("valid"), &json!("valid")));
    assert_eq!((&bobs["refreshable"], &bobs["state"]), (&json!(true), &json!("active")));
    assert!(bobs["expires_at"].is_string() && bobs["last_used_at"].is_null(), "{bobs}");
}

#[tokio::test]
async fn s2_an_entry_shows_times_scopes_and_time_line_and_never_the_value_of_a_token() {
    let stage = stage().await;
    let admin = stage.app.admin_client().await;
    let list = admin.get(&format!("/admin/oauth/tokens?user={}&q=hub", stage.alice.id)).await;
    let path = format!("/admin/oauth/tokens/{}", items(&list)[0]["id"].as_str().unwrap());
    let entry = admin.get(&path).await.json;
    for shown in ["created_at", "authorized_at", "issued_at", "expires_at", "health_reason"] {
        assert!(entry[shown].is_string(), "{shown}: {entry}");
    }
    for (shown, there) in
        [("last_used_at", true), ("last_error", true), ("scopes", false), ("failures", false)]
    {
        assert!(entry.get(shown).is_some_and(|value| value.is_null() == there), "{shown}: {entry}");
    }
    assert_eq!(entry["client_registration"]["client_id"], stage.demo.authorization_server.client_id());
    assert_eq!(entry["client_registration"]["kind"], "pre_registered");
    let authorized = &entry["time_line"][0];
    assert_eq!((&authorized["action"], &authorized["actor"]), (&json!("grant.authorize"), &json!("user")));
    assert_eq!(authorized["actor_id"], stage.alice.id.to_string());
    let unknown = admin.get("/admin/oauth/tokens/0190f5d2-7c1e-7000-8000-000000000001").await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn s4_health_follows_the_clock_and_can_be_filtered_by_and_counted() {
    let stage = stage().await;
    let admin = stage.app.admin_client().await;
    let counts = admin.get("/admin/oauth/tokens/counts").await.json;
    assert_eq!((&counts["total"], &counts["health"]["valid"]), (&json!(3), &json!(3)));
    assert_eq!(counts["access_token_status"]["expired"], 0);
    let grant = GrantOwner::User(stage.bob.id);
    let hub = admin.get("/gateways").await.json["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let bobs = stage.app.app.storage().grant_of(grant, hub).await.unwrap().unwrap();
    let end = bobs.tokens.expires_at.unwrap();
    stage.app.clock.advance(stage.app.clock.now().until(end));
    let expired = admin.get("/admin/oauth/tokens?access_token_status=expired").await;
    assert_eq!(items(&expired).len(), 3, "{expired:?}");
    assert_eq!(items(&expired)[0]["health"], "valid", "it renews itself: {expired:?}");
    assert!(items(&expired)[0]["health_reason"].as_str().unwrap().contains("renews itself"));
    let none = admin.get("/admin/oauth/tokens?health=expired").await;
    assert_eq!(items(&none).len(), 0);
    let counts = admin.get("/admin/oauth/tokens/counts").await.json;
    assert_eq!(
        (&counts["access_token_status"]["expired"], &counts["health"]["valid"]),
        (&json!(3), &json!(3))
    );
}

#[tokio::test]
async fn s12_the_list_is_filtered_sorted_and_paged_and_what_it_shows_is_an_allow_list() {
    let stage = stage().await;
    let admin = stage.app.admin_client().await;
    let get = async |query: &str| names(&admin.get(&format!("/admin/oauth/tokens?{query}")).await);
    assert_eq!(get(&format!("user={}", stage.bob.id)).await, ["bob@test.example hub"]);
    assert_eq!(get("q=ALICE&sort=created_at").await, ["alice@test.example hub", "alice@test.example mail"]);
    assert_eq!(get("q=mai&health=valid").await, ["alice@test.example mail"]);
    assert_eq!(get("q=&provider=").await.len(), 3, "an empty field is no filter");
    let issuer = stage.demo.authorization_server.issuer();
    assert_eq!(get(&format!("provider={issuer}")).await.len(), 3);
    assert_eq!(get("provider=https://elsewhere.example").await.len(), 0);
    let mut seen = Vec::new();
    let mut path = "/admin/oauth/tokens?sort=expires_at&limit=1".to_owned();
    loop {
        let page = admin.get(&path).await;
        seen.extend(names(&page));
        let Some(cursor) = page.json["next_cursor"].as_str() else { break };
        path = format!("/admin/oauth/tokens?sort=expires_at&limit=1&cursor={cursor}");
    }
    assert_eq!(seen, ["alice@test.example hub", "alice@test.example mail", "bob@test.example hub"]);
    let shown: BTreeSet<String> = {
        let list = admin.get("/admin/oauth/tokens?limit=1").await;
        items(&list)[0].as_object().unwrap().keys().cloned().collect()
    };
    let allowed = "access_token_status account authorized_at created_at deposited_by ends_at expires_at gateway \
                   health health_reason id label last_refreshed_at last_used_at provider refreshable scopes state user";
    assert_eq!(shown.iter().map(String::as_str).collect::<Vec<_>>().join(" "), allowed);
}

#[tokio::test]
async fn a_wrong_parameter_is_named_and_a_cursor_is_good_for_its_sort_only() {
    let stage = stage().await;
    let admin = stage.app.admin_client().await;
    for (query, field) in [
        ("user=alice", "user"),
        ("gateway=hub", "gateway"),
        ("health=fine", "health"),
        ("access_token_status=dead", "access_token_status"),
        ("sort=name", "sort"),
        ("limit=0", "limit"),
        ("cursor=abc", "cursor"),
        ("offset=3", "offset"),
        (&format!("q={}", "x".repeat(2_001)), "q"),
    ] {
        let refused = admin.get(&format!("/admin/oauth/tokens?{query}")).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{query}");
    }
    for (query, field) in [("format=xml", "format"), ("format=csv&limit=3", "limit")] {
        let refused = admin.get(&format!("/admin/oauth/tokens/export?{query}")).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{query}");
    }
    let page = admin.get("/admin/oauth/tokens?sort=created_at&limit=1").await;
    let cursor = page.json["next_cursor"].as_str().unwrap();
    for sort in ["-created_at", "last_used_at", "expires_at"] {
        let refused = admin.get(&format!("/admin/oauth/tokens?sort={sort}&cursor={cursor}")).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some("cursor")), "{sort}");
    }
}

#[tokio::test]
async fn the_list_is_for_administrators_with_a_token_for_administration() {
    let stage = stage().await;
    let app = &stage.app;
    let wrong_audience = app.client(app.administrator(), Audience::Own).await;
    let ordinary = app.client(&stage.alice, Audience::Own).await;
    let browser = app.browser(&stage.alice).await;
    for path in ["", "/counts", "/export?format=csv", "/0190f5d2-7c1e-7000-8000-000000000001"] {
        let path = format!("/admin/oauth/tokens{path}");
        for client in [&wrong_audience, &ordinary, &browser] {
            assert_eq!(client.get(&path).await.status, 403, "{path}");
        }
        assert_eq!(app.anonymous().get(&path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn an_export_has_every_row_of_the_filter_and_makes_no_formula_of_a_name() {
    let stage = stage().await;
    let admin = stage.app.admin_client().await;
    let path = format!("/admin/users/{}", stage.bob.id);
    assert_eq!(admin.put(&path, &json!({"name": "=HYPERLINK(\"x\")"})).await.status, 200);
    let csv = admin.get("/admin/oauth/tokens/export?format=csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"oauth-tokens.csv\"");
    let lines: Vec<&str> = csv.text.lines().collect();
    assert!(lines[0].starts_with("id,user_id,user_email,user_name,gateway_id,gateway_slug"), "{}", lines[0]);
    assert_eq!(lines.len(), 4, "{csv:?}");
    assert!(csv.text.contains(r#","'=HYPERLINK(""x"")","#), "{csv:?}");
    let ndjson = admin.get("/admin/oauth/tokens/export?format=ndjson&q=alice").await;
    let rows: Vec<Value> = ndjson.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let slugs: Vec<_> = rows.iter().map(|row| row["gateway"]["slug"].as_str().unwrap()).collect();
    assert_eq!((slugs, ndjson.header("content-type")), (vec!["hub", "mail"], "application/x-ndjson"));
}

#[tokio::test]
async fn r40_no_token_and_no_part_or_hash_of_one_is_in_the_list_the_details_or_the_export() {
    let stage = stage().await;
    let admin = stage.app.admin_client().await;
    let list = admin.get("/admin/oauth/tokens").await;
    let mut shown = vec![list.text.clone()];
    for item in items(&list) {
        shown.push(admin.get(&format!("/admin/oauth/tokens/{}", item["id"].as_str().unwrap())).await.text);
    }
    for format in ["csv", "ndjson"] {
        shown.push(admin.get(&format!("/admin/oauth/tokens/export?format={format}")).await.text);
    }
    shown.push(admin.get("/admin/oauth/tokens/counts").await.text);
    for text in &shown {
        assert!(!text.contains(CANARY), "{text}");
        for part in ["token_hash", "sealed", "refresh_token\"", "access_token\"", "key_id", "fingerprint"] {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }
}

#[tokio::test]
async fn m8_a_time_line_stands_after_the_grant_has_ended_and_a_reference_leads_to_its_event() {
    let stage = stage().await;
    let admin = stage.app.admin_client().await;
    let list = admin.get(&format!("/admin/oauth/tokens?user={}", stage.bob.id)).await;
    let id = items(&list)[0]["id"].as_str().unwrap().to_owned();
    let revoked = admin.delete(&format!("/admin/oauth/tokens/{id}")).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(admin.get(&format!("/admin/oauth/tokens/{id}")).await.status, 404);
    let ended = admin.get(&format!("/admin/oauth/ended/{id}")).await.json;
    let actions = |events: &Value| {
        let action = |event: &Value| event["action"].as_str().unwrap().to_owned();
        events.as_array().unwrap().iter().map(action).collect::<Vec<_>>()
    };
    let line = actions(&ended["time_line"]);
    assert_eq!(
        (line.first().unwrap().as_str(), line.last().unwrap().as_str()),
        ("grant.revoke", "grant.authorize")
    );
    let audit = admin.get(&format!("/admin/audit?grant={id}")).await.json;
    assert_eq!(actions(&audit["items"]), line);
    let csv = admin.get("/admin/oauth/ended/export?format=csv").await;
    assert!(csv.text.starts_with("id,user_id,user_email") && csv.text.contains(&id), "{csv:?}");
    let ndjson = admin.get("/admin/oauth/ended/export?cause=swept").await;
    assert_eq!((ndjson.status, ndjson.text.as_str()), (200, ""));
}
