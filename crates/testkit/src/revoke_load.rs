//! Grants by the dozen, and revoking each of them while its user keeps calling: not one call that begins after
//! the revoke was answered may be served.

use doorward_broker::{Broker, Caller, GatewayInput, NewApiToken, NewUser};
use doorward_demo::AuthorizationServer;
use doorward_domain::{
    AccessToken, Actor, Audience, Clock, Entropy, Gateway, Grant, GrantId, GrantOwner, GrantState,
    NewAuditEvent, RefreshToken, Role, SealedTokenSet, UserId,
};
use doorward_storage::{Storage, StoredGrant};
use doorward_vault::{Place, Vault};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Where grants are made.
pub struct Ground<'a> {
    pub broker: &'a Broker,
    pub storage: &'a Storage,
    pub vault: &'a Vault,
    pub clock: &'a Clock,
    pub server: &'a AuthorizationServer,
    pub admin: &'a Caller,
}

/// One grant, and how its user calls.
pub struct Revocable {
    pub grant: GrantId,
    path: String,
    bearer: String,
    /// Its revoke has been answered.
    answered: AtomicBool,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Outcome {
    pub revokes: usize,
    /// Calls that were served, all of them begun before the revoke was answered.
    pub served: u64,
    /// Calls that were not served.
    pub refused: u64,
    /// Calls that were served although they began after the revoke was answered.
    pub served_after_answered: u64,
    /// How long a revoke took until it was answered, shortest first.
    pub answered_within: Vec<Duration>,
}

impl Ground<'_> {
    /// A grant for each of so many users at each gateway that `input` describes.
    pub async fn grants(&self, users: usize, gateways: Vec<GatewayInput>) -> Vec<Revocable> {
        let mut made = Vec::new();
        for input in gateways {
            made.push(
                self.broker.create_gateway(self.admin, input).await.expect("the gateway can be registered"),
            );
        }
        let mut grants = Vec::new();
        for number in 0..users {
            let email = format!("user{number}@load.example");
            let new = NewUser { email: email.clone(), name: String::new(), role: Role::User, password: None };
            let user = self.broker.create_user(self.admin, new).await.expect("the person can be created");
            let caller = self
                .broker
                .caller_on_command_line(&email)
                .await
                .expect("the database answers")
                .expect("the person exists");
            let token =
                NewApiToken { name: "load".into(), audience: Audience::Mcp, gateways: None, days: None };
            let token = self.broker.create_api_token(&caller, token).await.expect("a token can be made");
            for gateway in &made {
                grants.push(Revocable {
                    grant: self.grant(user.id, gateway).await,
                    path: format!("/gateways/{}/mcp", gateway.slug),
                    bearer: token.plain.expose_secret().to_owned(),
                    answered: AtomicBool::new(false),
                });
            }
        }
        grants
    }

    /// A grant as a consent would have made it.
    async fn grant(&self, user: UserId, gateway: &Gateway) -> GrantId {
        let resource = gateway.oauth().and_then(|settings| settings.resource.clone()).unwrap_or_default();
        let given = self.server.hand_out("alice", &resource);
        let now = self.clock.now();
        let id: GrantId = Entropy.id(now);
        let access = AccessToken::new(given.access_token);
        let refresh = RefreshToken::new(given.refresh_token);
        let grant = Grant {
            id,
            owner: GrantOwner::User(user),
            gateway_id: gateway.id,
            label: String::new(),
            state: GrantState::Active,
            orphaned_since: None,
            fingerprint: gateway.fingerprint().expect("it is an OAuth gateway"),
            account: None,
            scopes_requested: vec![],
            scopes_granted: vec![],
            tokens: SealedTokenSet {
                access_token: self.vault.seal(&Place::grant_access_token(id), &access),
                refresh_token: Some(self.vault.seal(&Place::grant_refresh_token(id), &refresh)),
                id_token: None,
                expires_at: Some(now.plus(given.lifetime)),
            },
            refresh_number: 1,
            redeeming_number: None,
            created_at: now,
            authorized_at: now,
            issued_at: now,
            last_used_at: None,
            last_refreshed_at: None,
            ends_at: None,
            retry_at: None,
            failures: 0,
            last_error: None,
            provider_words: None,
            reference: None,
            deposited_by: None,
            exchanged: false,
            version: 0,
        };
        let event = NewAuditEvent::new(Actor::System, "grant.authorize").subject(id);
        let stored = self.storage.store_authorized_grant(&grant, event).await.expect("the database answers");
        assert!(matches!(stored, StoredGrant::Stored { .. }));
        id
    }
}

/// Revokes every grant over REST, `revokers` at a time, while `callers` call with the grants whose turn is near
/// or has just been.
pub async fn revoke_under_load(
    origin: &str,
    admin_token: &str,
    tool: &'static str,
    grants: Vec<Revocable>,
    (revokers, callers): (usize, usize),
) -> Outcome {
    let grants = Arc::new(grants);
    let turn = Arc::new(AtomicUsize::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let counts: Arc<[AtomicU64; 3]> = Arc::default();
    let client = reqwest::Client::builder().build().expect("a client can be built");
    let calling: Vec<_> = (0..callers)
        .map(|number| {
            let (grants, turn, over, counts) = (grants.clone(), turn.clone(), over.clone(), counts.clone());
            let (client, origin) = (client.clone(), origin.to_owned());
            tokio::spawn(async move {
                let mut step = number;
                while !over.load(Ordering::SeqCst) {
                    // From a little behind the revokers to a little before them.
                    let at = turn.load(Ordering::SeqCst) + step % 24;
                    step += 7;
                    let grant = &grants[at.saturating_sub(12).min(grants.len() - 1)];
                    let answered_before = grant.answered.load(Ordering::SeqCst);
                    let served = call(&client, &origin, grant, tool).await;
                    let which = if !served {
                        1
                    } else if answered_before {
                        2
                    } else {
                        0
                    };
                    counts[which].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let revoking: Vec<_> = (0..revokers)
        .map(|_| {
            let (grants, turn) = (grants.clone(), turn.clone());
            let (client, origin, token) = (client.clone(), origin.to_owned(), admin_token.to_owned());
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let Some(grant) = grants.get(turn.fetch_add(1, Ordering::SeqCst)) else { return took };
                    let url = format!("{origin}/admin/oauth/tokens/{}", grant.grant);
                    let begun = Instant::now();
                    let answer =
                        client.delete(url).bearer_auth(&token).send().await.expect("Doorward answers");
                    assert_eq!(answer.status(), 200);
                    grant.answered.store(true, Ordering::SeqCst);
                    took.push(begun.elapsed());
                }
            })
        })
        .collect();
    let mut answered_within = Vec::new();
    for revoker in revoking {
        answered_within.extend(revoker.await.expect("a revoker does not panic"));
    }
    over.store(true, Ordering::SeqCst);
    for caller in calling {
        caller.await.expect("a caller does not panic");
    }
    answered_within.sort();
    let [served, refused, after] = [0, 1, 2].map(|which: usize| counts[which].load(Ordering::SeqCst));
    Outcome { revokes: answered_within.len(), served, refused, served_after_answered: after, answered_within }
}

/// One call of a client of revision 2026-07-28; whether the upstream's answer came through.
async fn call(client: &reqwest::Client, origin: &str, grant: &Revocable, tool: &str) -> bool {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool, "arguments": {},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "load", "version": "1" },
        },
    } });
    let answer = client
        .post(format!("{origin}{}", grant.path))
        .bearer_auth(&grant.bearer)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .json(&body)
        .send()
        .await
        .expect("Doorward answers");
    let text = answer.text().await.expect("the answer comes whole");
    let message = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back().unwrap_or(&text);
    let message: Value = serde_json::from_str(message).expect("the answer is JSON");
    message.get("result").is_some_and(|result| result["isError"] != json!(true))
}
