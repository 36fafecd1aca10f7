//! `/admin/users`: people, and that disabling one ends what is theirs.

use doorward_domain::Audience;
use doorward_testkit::app::{PASSWORD, TestApp};
use doorward_testkit::client::Answer;
use serde_json::json;

#[tokio::test]
async fn a_person_is_created_edited_listed_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let made = admin.post("/admin/users", &json!({"email": "bob@test.example"})).await;
    assert_eq!(
        (made.status, &made.json["role"], &made.json["has_password"]),
        (201, &json!("user"), &json!(false))
    );
    assert_eq!(made.json["name"], "bob@test.example");
    let path = format!("/admin/users/{}", made.json["id"].as_str().unwrap());
    let edited = admin.put(&path, &json!({"name": "Bob", "role": "administrator"})).await;
    assert_eq!((edited.status, &edited.json["name"], edited.header("etag")), (200, &json!("Bob"), "\"2\""));
    assert_eq!(admin.get(&path).await.json, edited.json);
    let taken = admin.post("/admin/users", &json!({"email": "BOB@test.example"})).await;
    assert_eq!((taken.status, taken.problem().0), (409, Some("email")));
    let first = admin.get("/admin/users?limit=1").await;
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("/admin/users?limit=1&cursor={cursor}")).await;
    assert_eq!(second.json["next_cursor"], json!(null));
    // Both were made in the same millisecond of the mock clock, so either may come first.
    let name = |page: &Answer| page.json["items"][0]["name"].as_str().unwrap().to_owned();
    let mut names = [name(&first), name(&second)];
    names.sort();
    assert_eq!(names, ["Bob", "root@test.example"]);
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(admin.get(&path).await.status, 404);
}

#[tokio::test]
async fn nobody_sets_or_sees_another_persons_password() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let set = admin.post("/admin/users", &json!({"email": "b@test.example", "password": PASSWORD})).await;
    assert_eq!((set.status, set.problem().0), (400, Some("password")), "who sets it could sign in as them");
    let made = admin.post("/admin/users", &json!({"email": "b@test.example"})).await;
    assert_eq!((made.status, &made.json["has_password"]), (201, &json!(false)));
    let alice = app.user("alice").await;
    let edit = admin.put(&format!("/admin/users/{}", alice.id), &json!({"password": PASSWORD})).await;
    assert_eq!((edit.status, edit.problem().0), (400, Some("password")));
    let seen = admin.get(&format!("/admin/users/{}", alice.id)).await;
    assert!(seen.json["has_password"] == true && !seen.text.contains("argon2"), "{seen:?}");
}

#[tokio::test]
async fn disabling_a_person_ends_their_tokens_and_sessions_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let alice = app.user("alice").await;
    let (token, browser) = (app.client(&alice, Audience::Own).await, app.browser(&alice).await);
    assert_eq!((token.get("/me").await.status, browser.get("/me").await.status), (200, 200));
    let path = format!("/admin/users/{}", alice.id);
    assert_eq!(admin.put(&path, &json!({"state": "disabled"})).await.status, 200);
    assert_eq!((token.get("/me").await.status, browser.get("/me").await.status), (401, 401));
    assert_eq!(admin.put(&path, &json!({"state": "active"})).await.status, 200);
    assert_eq!(
        (token.get("/me").await.status, browser.get("/me").await.status),
        (401, 401),
        "what ended stays ended"
    );
}

#[tokio::test]
async fn nobody_removes_their_own_administration() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let path = format!("/admin/users/{}", app.administrator().id);
    assert_eq!(admin.put(&path, &json!({"role": "user"})).await.status, 409);
    assert_eq!(admin.put(&path, &json!({"state": "disabled"})).await.status, 409);
    assert_eq!(admin.delete(&path).await.status, 409);
}

#[tokio::test]
async fn a_reset_link_is_for_one_person_and_comes_from_the_public_url() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let alice = app.user("alice").await;
    let made = admin.post(&format!("/admin/users/{}/reset-link", alice.id), &json!({})).await;
    let url = made.json["url"].as_str().unwrap();
    assert!(made.status == 201 && url.starts_with(&format!("{}/ui/reset?token=", app.origin)), "{made:?}");
    let unknown =
        admin.post("/admin/users/0190f5d2-7c1e-7000-8000-000000000001/reset-link", &json!({})).await;
    assert_eq!(unknown.status, 404);
}
