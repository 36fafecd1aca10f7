//! The page of the key ring: rotating, what is left on old keys, and retiring.

use doorward_testkit::app::{KEY_RING, TestApp, TestAppOptions};
use std::time::Duration;

#[tokio::test]
async fn a_key_is_rotated_and_the_old_one_retired_after_a_question() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let before = browser.get("/ui/keys").await;
    assert!(before.text.contains("Seals") && !before.text.contains("Retire…"));
    assert!(browser.get("/ui/keys/rotate").await.text.contains("Put a new key in front?"));
    let rotated = browser.form("/ui/keys/rotate", &[]).await;
    assert_eq!(rotated.header("location"), "/ui/keys?note=key-rotated");
    app.app.broker().reseal(&mut |_| {}).await.unwrap();

    let page = browser.get("/ui/keys").await;
    assert!(
        page.text.contains("Only opens") && page.text.contains("Everything is sealed with the newest key"),
        "{}",
        page.text
    );
    let (_, rest) = page.text.split_once("href=\"/ui/keys/").expect("the page has links");
    let old =
        page.text.split("href=\"/ui/keys/").find_map(|rest| rest.split_once("/retire\"")).map(|(id, _)| id);
    let old = old.unwrap_or_else(|| panic!("{rest}"));
    let path = format!("/ui/keys/{old}/retire");
    assert!(browser.get(&path).await.text.contains("Retire the key"));
    assert_eq!(browser.form(&path, &[]).await.status, 409, "what it sealed may still be on its way");
    app.clock.advance(Duration::from_secs(120));
    assert_eq!(browser.form(&path, &[]).await.header("location"), "/ui/keys?note=key-retired");
    assert!(!browser.get("/ui/keys").await.text.contains("Only opens"));
    assert_eq!(browser.get("/ui/keys/nothing/retire").await.status, 404);
    assert_eq!(browser.form("/ui/keys/nothing/retire", &[]).await.status, 404);
}

#[tokio::test]
async fn a_ring_that_comes_from_a_setting_is_the_operators_to_write() {
    let options = TestAppOptions { key_ring: Some(KEY_RING.to_owned()), ..Default::default() };
    let app = TestApp::with(options).await;
    let browser = app.browser(app.administrator()).await;
    let refused = browser.form("/ui/keys/rotate", &[]).await;
    assert!(refused.status == 409 && refused.text.contains("DOORWARD_KEY_RING"), "{}", refused.text);
    assert!(!refused.text.contains(KEY_RING.split(':').next_back().unwrap()));
}
