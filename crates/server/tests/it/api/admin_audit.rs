//! `/admin/audit`: who did what.

use doorward_domain::{Actor, Audience, Hex, NewAuditEvent, Timestamp};
use doorward_testkit::app::TestApp;
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_done_can_be_found_by_action_and_by_person() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let alice = app.user("alice").await;
    let body = json!({"url": "http://127.0.0.1:9/mcp", "slug": "nine", "authorization": {"type": "none"}});
    admin.post("/gateways", &body).await;
    let gateways = admin.get("/admin/audit?action=gateway.").await;
    let event = &gateways.json["items"][0];
    assert_eq!((&event["action"], &event["actor"]), (&json!("gateway.create"), &json!("user")));
    assert_eq!(event["actor_id"], app.administrator().id.to_string());
    assert_eq!((&event["detail"]["slug"], &event["address"]), (&json!("nine"), &json!("127.0.0.1")));
    let about = admin.get(&format!("/admin/audit?user={}", alice.id)).await;
    assert_eq!(about.json["items"][0]["action"], "user.create");
    let first = admin.get("/admin/audit?limit=1").await;
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let next = admin.get(&format!("/admin/audit?limit=1&cursor={cursor}")).await;
    assert_ne!(next.json["items"][0]["id"], first.json["items"][0]["id"]);
    let wrong = admin.get("/admin/audit?user=alice").await;
    assert_eq!((wrong.status, wrong.problem().0), (400, Some("user")));
}

#[tokio::test]
async fn the_trail_is_filtered_by_actor_place_and_time() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let body = json!({"url": "http://127.0.0.1:9/mcp", "slug": "nine", "authorization": {"type": "none"}});
    admin.post("/gateways", &body).await;
    let found = async |query: &str| -> Vec<String> {
        let answer = admin.get(&format!("/admin/audit?{query}")).await;
        let items = answer.json["items"].as_array().unwrap().clone();
        items.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
    };
    let root = app.administrator().id;
    assert_eq!(found(&format!("actor={root}&action=gateway.")).await, ["gateway.create"]);
    assert_eq!(found("actor=anonymous&action=gateway.").await, [""; 0]);
    assert_eq!(found("address=127.0.0.1&action=gateway.").await, ["gateway.create"]);
    assert_eq!(found("address=192.0.2.1").await, [""; 0]);
    let now = app.clock.now();
    assert_eq!(found(&format!("action=gateway.&since={now}")).await, ["gateway.create"]);
    assert_eq!(found(&format!("until={now}&since={now}")).await, [""; 0]);
    for (query, field) in
        [("actor=alice", "actor"), ("since=yesterday", "since"), ("until=2026-01-01", "until")]
    {
        let wrong = admin.get(&format!("/admin/audit?{query}")).await;
        assert_eq!((wrong.status, wrong.problem().0), (400, Some(field)), "{query}");
    }
}

/// As docs/security.md tells outsiders to do it.
fn hash_of(event: &Value) -> String {
    let mut bytes = Vec::new();
    let mut add = |field: Option<&[u8]>| match field {
        Some(field) => {
            bytes.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(field);
        }
        None => bytes.extend_from_slice(&[0xff; 4]),
    };
    add(Some(b"doorward audit event v1"));
    let previous: Hex<32> = event["previous_hash"].as_str().unwrap().parse().unwrap();
    add(Some(&previous.0));
    add(Some(event["seq"].to_string().as_bytes()));
    add(Some(event["id"].as_str().unwrap().as_bytes()));
    let at: Timestamp = event["at"].as_str().unwrap().parse().unwrap();
    add(Some(at.millis().to_string().as_bytes()));
    for name in ["actor", "actor_id", "action", "subject", "user_id", "address", "reference"] {
        add(event[name].as_str().map(str::as_bytes));
    }
    add(Some(event["detail"].to_string().as_bytes()));
    Hex::<32>(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref().try_into().unwrap())
        .to_string()
}

#[tokio::test]
async fn m16_an_export_is_whole_can_be_verified_by_itself_and_is_an_event() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    for number in 0..1_005 {
        let event =
            NewAuditEvent::new(Actor::System, "test").detail("said", format!("\"{number}\", \u{1} é\r\n"));
        app.app.broker().record(event).await.unwrap();
    }
    let answer = admin.get("/admin/audit/export").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 1_005);
    let mut previous = "0".repeat(64);
    for (line, seq) in lines.iter().zip(1..) {
        assert_eq!((&line["seq"], line["previous_hash"].as_str()), (&json!(seq), Some(previous.as_str())));
        previous = hash_of(line);
        assert_eq!(line["hash"], previous);
    }
    let newest = lines.last().unwrap();
    assert_eq!((&newest["action"], &newest["detail"]["format"]), (&json!("audit.export"), &json!("ndjson")));

    let table = admin.get("/admin/audit/export?format=csv&action=test").await;
    assert!(table.text.starts_with("previous_hash,seq,id,at,actor,actor_id,action,"));
    assert_eq!(table.text.lines().count(), 1_006, "a line for each, and the names of the columns");
    let said = r#",test,,,,,"{""said"":""\""0\"", \u0001 é\r\n""}","#;
    assert!(table.text.contains(said), "{}", table.text.lines().nth(1).unwrap());
    let none = admin.get("/admin/audit/export?format=csv&action=nothing").await;
    assert_eq!(none.text.lines().count(), 1, "the names of the columns alone");
    let wrong = admin.get("/admin/audit/export?format=xml").await;
    assert_eq!((wrong.status, wrong.problem().0), (400, Some("format")));
    let alice = app.user("alice").await;
    assert_eq!(app.client(&alice, Audience::Admin).await.get("/admin/audit/export").await.status, 403);
}
