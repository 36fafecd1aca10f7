//! Where somebody is signed in, over REST and in the pages, and ending it.

use doorward_domain::Audience;
use doorward_testkit::app::TestApp;
use doorward_testkit::client::Client;
use serde_json::Value;
use std::time::Duration;

async fn sessions(client: &Client, path: &str) -> Vec<Value> {
    let answer = client.get(path).await;
    answer.json["items"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
}

#[tokio::test]
async fn a_person_sees_their_logins_and_ends_the_one_left_behind() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let (here, left_behind, others) =
        (app.browser(&alice).await, app.browser(&alice).await, app.browser(&bob).await);
    let own = sessions(&here, "/sessions").await;
    assert_eq!(own.iter().filter(|session| session["current"] == true).count(), 1);
    let id = own.iter().find(|session| session["current"] == false).unwrap()["id"].as_str().unwrap();
    assert!(!own[0].to_string().contains("hash"), "{own:?}");
    let end = format!("/ui/sessions/{id}/end");
    assert!(here.get("/ui/sessions").await.text.contains(&format!("href=\"{end}\"")));
    assert_eq!(others.get(&end).await.status, 404, "somebody else's is as good as unknown");
    assert_eq!(others.form(&end, &[]).await.status, 404);
    assert_eq!(others.delete(&format!("/sessions/{id}")).await.status, 404);
    assert!(here.get(&end).await.text.contains("has to sign in again"));
    assert_eq!(left_behind.get("/me").await.status, 200, "a question ends nothing");
    let done = here.form(&end, &[]).await;
    assert_eq!((done.status, done.header("location")), (303, "/ui/sessions?note=session-ended"));
    assert_eq!((left_behind.get("/me").await.status, here.get("/me").await.status), (401, 200));
    assert_eq!(here.form(&end, &[]).await.status, 404);
    let audit = app.admin_client().await.get("/admin/audit?action=session.").await;
    assert_eq!(audit.json["items"][0]["subject"], id);
}

#[tokio::test]
async fn an_administrator_sees_and_ends_the_logins_of_a_person() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let hers = app.browser(&alice).await;
    let (root, admin) = (app.browser(app.administrator()).await, app.admin_client().await);
    let path = format!("/admin/users/{}/sessions", alice.id);
    let found = sessions(&admin, &path).await;
    assert_eq!((found.len(), &found[0]["current"]), (1, &Value::Bool(false)));
    let page = format!("/ui/people/{}/sessions", alice.id);
    assert!(root.get("/ui/people").await.text.contains(&page));
    let shown = root.get(&page).await;
    assert!(shown.text.contains("Browser sessions of alice@test.example"), "{}", shown.text);
    assert_eq!(hers.get(&page).await.status, 403);
    let id = found[0]["id"].as_str().unwrap();
    assert_eq!(admin.delete(&format!("/sessions/{id}")).await.status, 404, "that is for one's own");
    let done = root.form(&format!("/ui/sessions/{id}/end"), &[]).await;
    assert_eq!(done.header("location"), format!("{page}?note=session-ended"));
    assert_eq!(hers.get("/me").await.status, 401);
    assert!(root.get(&page).await.text.contains("Nobody is signed in"));

    let again = app.browser(&alice).await;
    let id = sessions(&admin, &path).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        app.client(&alice, Audience::Own).await.delete(&format!("/admin/sessions/{id}")).await.status,
        403
    );
    assert_eq!(admin.delete(&format!("/admin/sessions/{id}")).await.status, 204);
    assert_eq!(again.get("/me").await.status, 401);
    app.browser(&alice).await;
    app.clock.advance(Duration::from_secs(25 * 3_600));
    assert!(sessions(&admin, &path).await.is_empty(), "one that nobody used for a day is none");
}
