//! Setup, login and throttling, as the use cases behind the pages do them.

use doorward_broker::BrokerError;
use doorward_domain::{Password, SessionToken};
use doorward_testkit::app::{ADMINISTRATOR, PASSWORD, TestApp, TestAppOptions, new_administrator};
use secrecy::ExposeSecret;
use std::time::Duration;

#[tokio::test]
async fn a_setup_link_makes_one_administrator_and_works_once() {
    let app =
        TestApp::with(TestAppOptions { without_administrator: true, ..TestAppOptions::default() }).await;
    let broker = app.app.broker();
    assert!(broker.setup_needed().await.unwrap());
    let link = broker.create_setup_link().await.unwrap();
    assert!(link.as_str().starts_with(&format!("{}/ui/setup?token=", app.origin)));
    let token = link.query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
    let token = SessionToken::new(token);
    assert!(broker.setup_link_is_good(&token).await.unwrap());
    let login = broker.complete_setup(&token, new_administrator(), None).await.unwrap();
    let cookie = format!("doorward-session={}", login.session.expose_secret());
    let browser = app.anonymous().with_session(&cookie).await;
    assert_eq!(browser.get("/me").await.json["role"], "administrator");
    assert!(!broker.setup_needed().await.unwrap());
    assert!(broker.complete_setup(&token, new_administrator(), None).await.is_err());
}

#[tokio::test]
async fn guessing_a_password_makes_the_guesser_wait() {
    let app = TestApp::start().await;
    let broker = app.app.broker();
    let attempt = async |password: &str| {
        broker.log_in(ADMINISTRATOR, &Password::new(password), Some("203.0.113.9".to_owned())).await
    };
    let mut waits = None;
    for _ in 0..10 {
        match attempt("a wrong password").await.unwrap_err() {
            BrokerError::Throttled { retry_after } => waits = Some(retry_after),
            BrokerError::Invalid { field, .. } => assert_eq!(field, "password"),
            other => panic!("{other}"),
        }
    }
    let wait = waits.expect("after some failures the guesser waits");
    assert!(matches!(attempt(PASSWORD).await, Err(BrokerError::Throttled { .. })));
    app.clock.advance(wait + Duration::from_secs(1));
    assert!(attempt(PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_at_the_logout() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let left = browser.form("/ui/logout", &[]).await;
    assert_eq!(left.status, 303, "{left:?}");
    assert_eq!(browser.get("/me").await.status, 401);
}
