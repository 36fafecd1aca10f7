//! The second step of a sign-in: set up with an app, asked for after the password, each code good once, and the ways
//! back in for who has lost it.

use super::{cookie_of, hidden};
use doorward_domain::{Password, TotpSecret};
use doorward_testkit::app::{PASSWORD, Person, TestApp};
use doorward_testkit::client::{Answer, Client};
use reqwest::Method;
use reqwest::header::COOKIE;
use serde_json::json;
use std::time::Duration;

const STEP: Duration = Duration::from_secs(30);

/// What the app of a person shows now.
fn code(app: &TestApp, secret: &TotpSecret) -> String {
    let seconds = u64::try_from(app.clock.now().millis() / 1_000).unwrap();
    doorward_vault::totp_code(secret, seconds).unwrap()
}

/// Sets up a second step in the pages; the secret and the recovery codes.
async fn set_up(app: &TestApp, browser: &Client) -> (TotpSecret, Vec<String>) {
    let shown = browser.form("/ui/second-factor/set-up", &[]).await;
    let (_, rest) = shown.text.split_once("Key, for typing").unwrap_or_else(|| panic!("{}", shown.text));
    let key = rest.split_once("<code>").unwrap().1.split('<').next().unwrap().replace(' ', "");
    let secret = TotpSecret::new(key);
    let done = browser.form("/ui/second-factor/confirm", &[("code", &code(app, &secret))]).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let codes = done.text.split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
    (secret, codes.collect())
}

/// A sign-in that has come to its second step.
struct Halfway {
    client: Client,
    cookies: String,
    csrf: String,
}

impl Halfway {
    async fn of(app: &TestApp, person: &Person, password: &str) -> Self {
        let fields = [("email", person.email.as_str()), ("password", password), ("next", "/ui/tokens")];
        let answer = super::anonymous_form(app, "/ui/login", "/ui/login", &fields).await;
        Self::after(app, &answer).await
    }

    async fn after(app: &TestApp, answer: &Answer) -> Self {
        assert!(answer.header("location").starts_with("/ui/login/code?next="), "{answer:?}");
        assert_eq!(cookie_of(answer, "doorward-session"), "", "the password alone opens nothing");
        let ticket = cookie_of(answer, "doorward-second-step");
        let client = app.anonymous();
        let request = client.request(Method::GET, answer.header("location")).header(COOKIE, &ticket);
        let page = client.send(request).await;
        assert!(page.text.contains("Now the code"), "{}", page.text);
        let cookies = format!("{ticket}; {}", cookie_of(&page, "doorward-form"));
        Self { client, cookies, csrf: hidden(&page.text, "csrf") }
    }

    async fn show(&self, code: &str) -> Answer {
        let fields = [("code", code), ("next", "/ui/tokens"), ("csrf", &self.csrf)];
        let request = self.client.request(Method::POST, "/ui/login/code").form(&fields);
        let request = request.header(COOKIE, &self.cookies).header("sec-fetch-site", "same-origin");
        self.client.send(request).await
    }
}

#[tokio::test]
async fn the_password_leads_to_a_code_and_each_code_is_good_once() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    assert!(browser.get("/ui/second-factor").await.text.contains("It is off."));
    let wrong = browser.form("/ui/second-factor/confirm", &[("code", "1")]).await;
    assert_eq!(wrong.status, 409, "nothing is being set up");
    let (secret, codes) = set_up(&app, &browser).await;
    assert_eq!(codes.len(), 10);
    assert!(browser.get("/ui/second-factor").await.text.contains("10 recovery codes left"));
    assert_eq!(browser.form("/ui/second-factor/set-up", &[]).await.status, 409, "there is one already");

    let halfway = Halfway::of(&app, &alice, PASSWORD).await;
    let replayed = halfway.show(&code(&app, &secret)).await;
    assert!(replayed.status == 400 && replayed.text.contains("was used already"), "{}", replayed.text);
    assert_eq!(halfway.show("000000").await.status, 400);
    app.clock.advance(STEP);
    let now = code(&app, &secret);
    let done = halfway.show(&format!("{} {}", &now[..3], &now[3..])).await;
    assert_eq!((done.status, done.header("location")), (303, "/ui/tokens"));
    let session = cookie_of(&done, "doorward-session");
    let signed_in = app.anonymous().with_session(&session).await;
    assert_eq!(signed_in.get("/me").await.status, 200);
    let again = Halfway::of(&app, &alice, PASSWORD).await;
    assert_eq!(again.show(&now).await.status, 400, "a code that was overheard opens nothing");

    let recovered = again.show(&codes[0].to_uppercase()).await;
    assert_eq!(recovered.status, 303, "{}", recovered.text);
    let third = Halfway::of(&app, &alice, PASSWORD).await;
    assert_eq!(third.show(&codes[0]).await.status, 400);
    assert!(browser.get("/ui/second-factor").await.text.contains("9 recovery codes left"));
    app.clock.advance(Duration::from_secs(301));
    let late = third.show(&code(&app, &secret)).await;
    assert!(late.text.contains("The code took too long"), "{}", late.text);
    let audit = app.admin_client().await.get("/admin/audit?limit=200").await.text;
    for action in ["second_factor.set_up", "login.code_refused", "second_factor.recovery_code_used"] {
        assert!(audit.contains(action), "{action}");
    }
    assert!(!audit.contains(&codes[0]) && !audit.contains(&now));
}

#[tokio::test]
async fn guessing_at_codes_is_slowed_down_and_a_stranger_makes_nobody_wait() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    let (secret, _) = set_up(&app, &browser).await;
    let halfway = Halfway::of(&app, &alice, PASSWORD).await;
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(halfway.show("000000").await.status);
    }
    assert_eq!((answers[0], answers[6]), (400, 429), "{answers:?}");
    app.clock.advance(STEP);
    assert_eq!(halfway.show(&code(&app, &secret)).await.status, 303, "after the wait it is open again");
    for _ in 0..7 {
        let fields = [("email", alice.email.as_str()), ("password", "wrong")];
        super::anonymous_form(&app, "/ui/login", "/ui/login", &fields).await;
    }
    app.clock.advance(2 * STEP);
    let next = Halfway::of(&app, &alice, PASSWORD).await;
    assert_eq!(next.show(&code(&app, &secret)).await.status, 303, "wrong passwords cost no codes");
}

#[tokio::test]
async fn a_fresh_login_is_a_code_where_there_is_a_second_factor() {
    let app = TestApp::start().await;
    let root = app.browser(app.administrator()).await;
    let (secret, codes) = set_up(&app, &root).await;
    app.clock.advance(Duration::from_secs(11 * 60));
    assert!(root.get("/ui/second-factor/remove").await.header("location").starts_with("/ui/sign-in-again"));
    assert!(root.get("/ui/sign-in-again").await.text.contains("Code of your authenticator app"));
    let by_password = root.form("/ui/sign-in-again", &[("password", PASSWORD), ("next", "/ui")]).await;
    assert_eq!(by_password.status, 400, "the password alone is not enough");
    let fields = [("code", &*code(&app, &secret)), ("next", "/ui/second-factor/recovery-codes")];
    assert_eq!(root.form("/ui/sign-in-again", &fields).await.header("location"), fields[1].1);
    let fresh = root.form("/ui/second-factor/recovery-codes", &[]).await;
    assert!(fresh.text.contains("Your recovery codes") && !fresh.text.contains(&codes[0]));
    let gone = root.form("/ui/second-factor/remove", &[]).await;
    assert_eq!(gone.header("location"), "/ui/second-factor?note=second-factor-removed");
    app.browser(app.administrator()).await;
}

#[tokio::test]
async fn only_a_reset_link_that_says_so_removes_the_second_step_of_somebody_else() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let hers = app.browser(&alice).await;
    let (secret, _) = set_up(&app, &hers).await;
    let root = app.browser(app.administrator()).await;
    assert!(root.get("/ui/people").await.text.contains(&format!("/ui/people/{}/reset-all", alice.id)));
    let reset = async |verb: &str, password: &str| {
        let made = root.form(&format!("/ui/people/{}/{verb}", alice.id), &[]).await;
        let (_, token) = made.text.split_once("/ui/reset?token=").unwrap_or_else(|| panic!("{}", made.text));
        let token: String =
            token.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        let page = format!("/ui/reset?token={token}");
        let fields = [("token", &*token), ("password", password)];
        super::anonymous_form(&app, &page, "/ui/reset", &fields).await
    };
    let kept = reset("reset-link", "a new long password").await;
    assert_eq!(hers.get("/me").await.status, 401, "a reset ends what was open");
    let halfway = Halfway::after(&app, &kept).await;
    app.clock.advance(STEP);
    assert_eq!(halfway.show(&code(&app, &secret)).await.status, 303);
    let before = Halfway::of(&app, &alice, "a new long password").await;
    let removed = reset("reset-all", "another long password").await;
    assert_ne!(cookie_of(&removed, "doorward-session"), "", "{removed:?}");
    app.clock.advance(STEP);
    assert_eq!(before.show(&code(&app, &secret)).await.status, 400, "what the old password began is over");
    let login = app.app.broker().log_in(&alice.email, &Password::new("another long password"), None).await;
    assert!(matches!(login.unwrap(), doorward_broker::SignIn::Done(_)));
}

#[tokio::test]
async fn rest_does_the_same_for_who_has_signed_in_and_a_new_key_seals_the_secret() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let client = app.browser(&alice).await;
    let narrow = app.client(&alice, doorward_domain::Audience::Own).await;
    let token = app.client(&alice, doorward_domain::Audience::Admin).await;
    for stolen in [&narrow, &token] {
        assert_eq!(stolen.post("/second-factor", &json!({})).await.status, 403);
        assert_eq!(stolen.delete("/second-factor").await.status, 403, "it would take the second step away");
    }
    let begun = client.post("/second-factor", &json!({})).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let secret = TotpSecret::new(begun.json["secret"].as_str().unwrap());
    assert!(begun.json["uri"].as_str().unwrap().starts_with("otpauth://totp/Doorward%20127.0.0.1:alice%40"));
    let wrong = client.post("/second-factor/confirm", &json!({"code": "12345"})).await;
    assert_eq!(wrong.problem().0, Some("code"));
    assert_eq!(client.post("/second-factor/confirm", &json!({})).await.problem().0, Some("code"));
    assert_eq!(narrow.get("/second-factor").await.json["active"], false);
    let codes = client.post("/second-factor/confirm", &json!({"code": code(&app, &secret)})).await;
    assert_eq!(codes.json["recovery_codes"].as_array().unwrap().len(), 10, "{codes:?}");
    assert_eq!(client.post("/second-factor", &json!({})).await.status, 409);
    let root = app.admin_client().await;
    let shown = root.get(&format!("/admin/users/{}", alice.id)).await;
    assert_eq!(shown.json["has_second_factor"], true);

    app.app.broker().rotate_keys(&app.administrator().caller).await.unwrap();
    app.app.broker().reseal(&mut |_| {}).await.unwrap();
    let sealed = app.app.storage().second_factor(alice.id).await.unwrap().unwrap().secret;
    assert_eq!(sealed.key_id, app.app.vault().sealing_key());
    app.clock.advance(STEP);
    let halfway = Halfway::of(&app, &alice, PASSWORD).await;
    assert_eq!(halfway.show(&code(&app, &secret)).await.status, 303);

    assert_eq!(client.post("/second-factor/recovery-codes", &json!({})).await.status, 200);
    assert_eq!(client.delete("/second-factor").await.status, 204);
    assert_eq!(client.delete("/second-factor").await.status, 404);
    let trail = root.get("/admin/audit?action=second_factor.").await.text;
    for action in ["begin", "set_up", "new_recovery_codes", "remove"] {
        assert!(trail.contains(&format!("\"second_factor.{action}\"")), "{action}");
    }
    let link = root
        .post(&format!("/admin/users/{}/reset-link?remove_second_factor=true", alice.id), &json!({}))
        .await;
    assert_eq!(link.status, 201, "{link:?}");
    let unknown = root.post(&format!("/admin/users/{}/reset-link?x=1", alice.id), &json!({})).await;
    assert_eq!(unknown.problem().0, Some("x"));
}
