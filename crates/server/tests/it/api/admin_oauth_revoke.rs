//! `/admin/oauth`: ending grants of others, one or many, and what is left of them.

use doorward_demo::Demo;
use doorward_domain::{Audience, GrantOwner};
use doorward_testkit::app::{Person, TestApp};
use serde_json::{Value, json};

struct Stage {
    app: TestApp,
    _demo: Demo,
    gateway: String,
    people: Vec<(Person, String)>,
}

impl Stage {
    /// Two people with a grant each at one gateway.
    async fn set() -> Self {
        let app = TestApp::start().await;
        let demo = app.demo().await;
        let gateway = app.register(&demo, "demo").await;
        let mut people = Vec::new();
        for name in ["alice", "bob"] {
            let person = app.user(name).await;
            app.connect(&person, "demo", &demo, name).await;
            let owner = GrantOwner::User(person.id);
            let grant = app.app.storage().grant_of(owner, gateway.id).await.unwrap().unwrap();
            people.push((person, grant.id.to_string()));
        }
        Self { app, _demo: demo, gateway: gateway.id.to_string(), people }
    }

    fn grant(&self, number: usize) -> &str {
        &self.people[number].1
    }
}

#[tokio::test]
async fn s12_s3_an_administrator_revokes_one_with_a_receipt_and_nobody_else_can() {
    let stage = Stage::set().await;
    let admin = stage.app.admin_client().await;
    let path = format!("/admin/oauth/tokens/{}", stage.grant(0));
    let own = stage.app.client(&stage.people[0].0, Audience::Own).await;
    assert_eq!(own.delete(&path).await.status, 403);
    for wrong in ["?provider=gently", "?why=x", "?reason="] {
        let refused = admin.delete(&format!("{path}{wrong}")).await;
        assert_eq!(refused.status, 400, "{wrong}: {refused:?}");
    }
    let ended = admin.delete(&format!("{path}?reason=left%20the%20team")).await;
    assert_eq!(ended.status, 200, "{ended:?}");
    let shown = |name: &str| ended.json[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((shown("cause"), shown("receipt")), ("revoked".into(), "pending".into()));
    assert_eq!((shown("reason"), shown("gateway_slug")), ("left the team".into(), "demo".into()));
    assert_eq!(ended.json["user_email"], json!(stage.people[0].0.email));
    assert_eq!(admin.delete(&path).await.status, 404);
    assert_eq!(own.get(&format!("/oauth/status/{}", stage.gateway)).await.json["status"], "not_connected");

    stage.app.app.broker().tell_providers().await.unwrap();
    let left = admin.get(&format!("/admin/oauth/ended/{}", stage.grant(0))).await;
    assert_eq!(left.json["receipt"], "ended_at_provider", "{left:?}");
    let mut row = left.json.clone();
    assert!(row.as_object_mut().unwrap().remove("time_line").is_some(), "{row}");
    let listed = admin.get(&format!("/admin/oauth/ended?gateway={}&cause=revoked", stage.gateway)).await;
    assert_eq!(listed.json["items"], json!([row]));
    assert_eq!(admin.get("/admin/oauth/ended?receipt=gave_up").await.json["items"], json!([]));
    assert_eq!(admin.get("/admin/oauth/ended?cause=boredom").await.status, 400);
    assert_eq!(own.get("/admin/oauth/ended").await.status, 403);
    assert_eq!(admin.get(&format!("/admin/oauth/ended/{}", stage.grant(1))).await.status, 404);
}

#[tokio::test]
async fn m12_many_are_previewed_counted_and_revoked_as_a_job_with_rows() {
    let stage = Stage::set().await;
    let admin = stage.app.admin_client().await;
    let revoke = async |body: Value| admin.post("/admin/oauth/tokens/revoke", &body).await;
    let filter = json!({ "gateway": stage.gateway });
    let seen = revoke(json!({ "filter": filter, "dry_run": true })).await;
    assert_eq!((seen.status, &seen.json["count"]), (200, &json!(2)), "{seen:?}");
    assert_eq!(seen.json["grants"][0]["gateway_slug"], "demo");
    for (wrong, field) in [
        (json!({ "filter": {}, "dry_run": true }), "filter"),
        (json!({ "dry_run": true }), "ids"),
        (json!({ "filter": filter, "ids": [stage.grant(0)] }), "ids"),
        (json!({ "filter": filter, "reason": "x" }), "expected_count"),
        (json!({ "filter": filter, "expected_count": 2 }), "reason"),
        (json!({ "filter": { "usr": null } }), "filter.usr"),
    ] {
        let refused = revoke(wrong.clone()).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{wrong}: {refused:?}");
    }
    let order = |count: u64| json!({ "filter": filter, "expected_count": count, "reason": "stolen laptop" });
    let refused = revoke(order(3)).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("2 OAuth tokens are meant, not 3"), "{refused:?}");

    let job = revoke(order(2)).await;
    assert_eq!(
        (job.status, &job.json["state"], &job.json["done"]),
        (201, &json!("done"), &json!(2)),
        "{job:?}"
    );
    let path = format!("/admin/oauth/jobs/{}", job.json["id"].as_str().unwrap());
    let first = admin.get(&format!("{path}?limit=1")).await;
    assert_eq!(first.json["rows"]["items"][0]["result"], "done", "{first:?}");
    let cursor = first.json["rows"]["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("{path}?limit=1&cursor={cursor}")).await;
    assert_eq!(second.json["rows"]["items"][0]["receipt"], "pending", "{second:?}");
    assert_eq!(second.json["rows"]["next_cursor"], json!(null));
    for (person, _) in &stage.people {
        let own = stage.app.client(person, Audience::Own).await;
        let status = own.get(&format!("/oauth/status/{}", stage.gateway)).await;
        assert_eq!(status.json["status"], "not_connected");
        assert_eq!(own.get(&path).await.status, 403);
    }
    let audit = admin.get("/admin/audit?action=grant.revoke_many").await;
    assert_eq!(audit.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(audit.json["items"][0]["detail"]["count"], "2");
}

#[tokio::test]
async fn m7_one_or_many_are_made_to_authorize_again_and_the_others_live_on() {
    let stage = Stage::set().await;
    let admin = stage.app.admin_client().await;
    let health = async |number: usize| {
        let own = stage.app.client(&stage.people[number].0, Audience::Own).await;
        own.get(&format!("/oauth/status/{}", stage.gateway)).await.json["health"].clone()
    };
    let path = format!("/admin/oauth/tokens/{}/reauthorize", stage.grant(0));
    assert_eq!(admin.post(&path, &json!({})).await.status, 204);
    assert_eq!((health(0).await, health(1).await), (json!("needs_authorization"), json!("valid")));
    let order = json!({ "ids": [stage.grant(1)], "expected_count": 1, "reason": "new scopes" });
    let job = admin.post("/admin/oauth/tokens/reauthorize", &order).await;
    assert_eq!((job.status, &job.json["kind"]), (201, &json!("reauthorize")), "{job:?}");
    assert_eq!(health(1).await, json!("needs_authorization"));
    let told = json!({ "ids": [stage.grant(1)], "dry_run": true, "provider": "here_only" });
    assert_eq!(admin.post("/admin/oauth/tokens/reauthorize", &told).await.status, 400);
}
