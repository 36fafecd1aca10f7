//! Roles of an installation's own: made, given, changed and deleted, and never a way to more than one has.

use doorward_domain::{Audience, Role};
use doorward_testkit::app::{Person, TestApp};
use doorward_testkit::client::{Answer, Client};
use serde_json::{Value, json};

async fn make(client: &Client, name: &str, permissions: &[&str]) -> Answer {
    client.post("/admin/roles", &json!({"name": name, "permissions": permissions})).await
}

async fn give(client: &Client, person: &Person, role: &str) -> Answer {
    client.put(&format!("/admin/users/{}", person.id), &json!({ "role": role })).await
}

#[tokio::test]
async fn a_role_is_made_given_changed_and_deleted_when_nobody_has_it() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let alice = app.user("alice").await;
    let hers = app.client(&alice, Audience::Admin).await;
    let made = make(&admin, "support", &["read_grants", "use_gateways"]).await;
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""), "{made:?}");
    assert_eq!(made.json["permissions"], json!(["use_gateways", "read_grants"]), "in the order of the table");
    assert_eq!(make(&admin, "support", &["use_gateways"]).await.status, 409);
    assert_eq!(hers.get("/admin/oauth/tokens").await.status, 403);
    let given = give(&admin, &alice, "support").await;
    assert_eq!((given.status, &given.json["role"]), (200, &json!("support")), "{given:?}");
    assert_eq!(hers.get("/admin/oauth/tokens").await.status, 200, "it holds from the next request on");
    assert_eq!(hers.get("/me").await.json["permissions"], json!(["use_gateways", "read_grants"]));

    let listed = admin.get("/admin/roles").await.json["items"].clone();
    let names: Vec<&Value> = listed.as_array().unwrap().iter().map(|role| &role["name"]).collect();
    assert_eq!(names, ["administrator", "operator", "auditor", "user", "support"]);
    assert_eq!((&listed[4]["people"], &listed[4]["built_in"]), (&json!(1), &json!(false)));

    let (path, narrower) = ("/admin/roles/support", json!({"permissions": ["use_gateways"]}));
    let stale = admin.request(reqwest::Method::PUT, path).header("if-match", "\"7\"").json(&narrower);
    assert_eq!(admin.send(stale).await.status, 412);
    let changed = admin.put(path, &narrower).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""), "{changed:?}");
    assert_eq!(hers.get("/admin/oauth/tokens").await.status, 403, "a change holds from the next request on");
    let in_use = admin.delete(path).await;
    assert!(in_use.status == 409 && in_use.problem().1.contains("the role of 1 people"), "{in_use:?}");
    assert_eq!(give(&admin, &alice, "user").await.status, 200);
    assert_eq!(admin.delete(path).await.status, 204);
    assert_eq!(admin.get(path).await.status, 404);
    assert_eq!(give(&admin, &alice, "support").await.problem().0, Some("role"));
}

#[tokio::test]
async fn what_is_wrong_with_a_role_is_named_and_the_built_in_ones_stay() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    for (name, permissions, status, field) in [
        ("Support", vec!["use_gateways"], 400, "name"),
        ("", vec!["use_gateways"], 400, "name"),
        ("operator", vec!["use_gateways"], 409, "name"),
        ("new", vec!["use_gateways"], 409, "name"),
        ("x", vec![], 400, "permissions"),
        ("x", vec!["manage_users"], 400, "permissions"),
        ("x", vec!["run_cleanup", "read_grants"], 400, "permissions"),
        ("x", vec!["everything"], 400, "permissions[0]"),
    ] {
        let refused = make(&admin, name, &permissions).await;
        assert_eq!((refused.status, refused.problem().0), (status, Some(field)), "{name} {permissions:?}");
    }
    for role in Role::BUILT_IN {
        let path = format!("/admin/roles/{}", role.as_str());
        assert_eq!(admin.put(&path, &json!({"permissions": ["use_gateways"]})).await.status, 409, "{path}");
        assert_eq!(admin.delete(&path).await.status, 409, "{path}");
        assert_eq!(admin.get(&path).await.json["built_in"], true);
    }
    assert_eq!(admin.get("/admin/roles/No-Name").await.problem().0, Some("id"));
    assert_eq!(
        admin.put("/admin/roles/nobodys", &json!({"permissions": ["use_gateways"]})).await.status,
        404
    );
}

#[tokio::test]
async fn who_manages_people_gives_nothing_that_they_lack_and_reaches_nobody_mightier() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let operator = app.person_as("olga", Role::Operator).await;
    make(&admin, "helpdesk", &["use_gateways", "read_users", "manage_users"]).await;
    make(&admin, "cleaner", &["use_gateways", "read_cleanup", "run_cleanup"]).await;
    assert_eq!(give(&admin, &alice, "helpdesk").await.status, 200);
    let hers = app.client(&alice, Audience::Admin).await;
    for role in ["administrator", "operator", "auditor", "cleaner"] {
        assert_eq!(give(&hers, &bob, role).await.status, 403, "{role}");
        let body = json!({"email": "new@test.example", "role": role});
        assert_eq!(hers.post("/admin/users", &body).await.status, 403, "{role}");
    }
    assert_eq!(make(&hers, "mine", &["use_gateways", "read_audit"]).await.status, 403);
    let wider = json!({"permissions": ["use_gateways"]});
    assert_eq!(hers.put("/admin/roles/cleaner", &wider).await.status, 403, "nor takes what they lack");
    assert_eq!(hers.delete("/admin/roles/cleaner").await.status, 403);
    for person in [app.administrator(), &operator] {
        let path = format!("/admin/users/{}", person.id);
        let link = hers.post(&format!("{path}/reset-link"), &json!({})).await;
        assert_eq!(link.status, 403, "a link is a way to become them: {link:?}");
        let moved = hers.put(&path, &json!({"email": "mine@test.example"})).await;
        assert_eq!(moved.status, 403, "{moved:?}");
        assert_eq!(hers.put(&path, &json!({"state": "disabled"})).await.status, 403);
        assert_eq!(hers.delete(&path).await.status, 403);
    }
    // What was made for somebody as they were is worth nothing when they are more.
    let link = hers.post(&format!("/admin/users/{}/reset-link", bob.id), &json!({})).await;
    let link = link.json["url"].as_str().unwrap().replace(&app.origin, "");
    assert!(app.anonymous().get(&link).await.text.contains("name=\"password\""), "it works");
    assert_eq!(give(&admin, &bob, "administrator").await.status, 200);
    let spent = app.anonymous().get(&link).await;
    assert!(!spent.text.contains("name=\"password\""), "it would make her an administrator: {spent:?}");
    assert_eq!(give(&admin, &bob, "user").await.status, 200);
    let root = app.browser(app.administrator()).await;
    let session = root.get("/sessions").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(hers.delete(&format!("/admin/sessions/{session}")).await.status, 403, "nor throws them out");
    assert_eq!(root.get("/me").await.status, 200);
    assert_eq!(make(&hers, "desk-reader", &["use_gateways", "read_users"]).await.status, 201);
    assert_eq!(give(&hers, &bob, "desk-reader").await.status, 200);
    let own = json!({"permissions": ["use_gateways", "read_users"]});
    assert_eq!(hers.put("/admin/roles/helpdesk", &own).await.status, 409, "nor their own role");
    assert_eq!(give(&hers, &alice, "user").await.status, 409);

    let all: Vec<&str> = doorward_domain::Permission::ALL.iter().map(|one| one.as_str()).collect();
    make(&admin, "nearly", &all).await;
    give(&admin, &alice, "nearly").await;
    assert_eq!(give(&hers, &bob, "administrator").await.status, 403, "only administrators make one");
    let path = format!("/admin/users/{}", app.administrator().id);
    assert_eq!(hers.put(&path, &json!({"role": "user"})).await.status, 403, "and unmake one");
}

#[tokio::test]
async fn the_pages_make_a_role_offer_it_and_delete_it() {
    let app = TestApp::start().await;
    let root = app.browser(app.administrator()).await;
    let alice = app.user("alice").await;
    let fields = [("name", "support"), ("permissions", "use_gateways"), ("permissions", "read_grants")];
    assert_eq!(root.form("/ui/roles/new", &fields).await.header("location"), "/ui/roles?note=role-made");
    let role = format!("/ui/people/{}/role", alice.id);
    assert!(root.get(&role).await.text.contains("value=\"support\""));
    let given = root.form(&role, &[("version", "1"), ("role", "support")]).await;
    assert_eq!(given.header("location"), "/ui/people?note=person-role");
    assert!(root.get("/ui/roles").await.text.contains("1 person"));
    let form = root.get("/ui/roles/support").await.text;
    for (permission, held) in [("use_gateways", true), ("read_grants", true), ("manage_keys", false)] {
        let offered = form.split("<input").find(|input| input.contains(&format!("value=\"{permission}\"")));
        let offered = offered.unwrap_or_else(|| panic!("{permission} is not offered"));
        assert_eq!(offered.contains("checked"), held, "{permission}");
    }
    let kept = root.form("/ui/roles/support/delete", &[("version", "1")]).await;
    assert!(kept.status == 409 && kept.text.contains("give them another one first"), "{}", kept.text);
    let refused = root.form("/ui/roles/support", &[("version", "1"), ("permissions", "manage_keys")]).await;
    assert!(refused.status == 400 && refused.text.contains("goes with read_keys"), "{}", refused.text);
    let saved = root.form("/ui/roles/support", &[("version", "1"), ("permissions", "use_gateways")]).await;
    assert_eq!(saved.header("location"), "/ui/roles?note=role-changed");
    root.form(&role, &[("version", "2"), ("role", "user")]).await;
    let gone = root.form("/ui/roles/support/delete", &[("version", "2")]).await;
    assert_eq!(gone.header("location"), "/ui/roles?note=deleted");
    app.clock.advance(std::time::Duration::from_secs(11 * 60));
    assert!(root.get("/ui/roles/new").await.header("location").starts_with("/ui/sign-in-again"));
    assert_eq!(app.browser(&alice).await.get("/ui/roles").await.status, 403);
}
