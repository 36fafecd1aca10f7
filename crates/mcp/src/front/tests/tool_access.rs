//! Tools that are given to somebody and taken away, while they are used and while somebody listens.

use super::harness::{Door, Events, legacy};
use super::upstreams::{event, listing};
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Upstream, events};
use axum::response::Response;
use doorward_broker::Caller;
use doorward_domain::{AccessList, Actor, Audience, Entropy, Gateway, Group, GroupId, NewAuditEvent};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;

const V11: &str = "2025-11-25";

fn audit() -> NewAuditEvent {
    NewAuditEvent::new(Actor::System, "test")
}

/// A server whose tools say that they work, and end when a test lets them.
async fn working(go_on: Arc<Semaphore>) -> Upstream {
    Upstream::with(Revision::V2025_11_25, move |seen| {
        let go_on = Arc::clone(&go_on);
        async move {
            if seen.method() == "tools/call" {
                Some(works(seen.json()["id"].clone(), go_on))
            } else {
                tools(&seen)
            }
        }
    })
    .await
}

fn tools(seen: &crate::upstream::tests::fixture::Seen) -> Option<Response> {
    listing(seen, json!([{"name": "x", "inputSchema": {}}, {"name": "y", "inputSchema": {}}]))
}

fn works(id: Value, go_on: Arc<Semaphore>) -> Response {
    let note = json!({"jsonrpc": "2.0", "method": "notifications/vendor", "params": {}});
    let last = stream::once(async move {
        go_on.acquire().await.unwrap().forget();
        event(&json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}}))
    });
    events(stream::iter([event(&note)]).chain(last))
}

struct Stage {
    door: Door,
    upstream: Upstream,
    gateway: Arc<Gateway>,
    group: GroupId,
    go_on: Arc<Semaphore>,
    bob: Caller,
    token: String,
    bobs: String,
}

impl Stage {
    /// Alice and Bob are in the group that alone may use the tool `x`.
    async fn set() -> Self {
        let door = Door::open().await;
        let (token, go_on) = (door.alice().await, Arc::new(Semaphore::new(0)));
        let upstream = working(Arc::clone(&go_on)).await;
        let gateway = door.house.gateway(&upstream).await;
        let bob = door.house.person("bob").await;
        let bobs = door.token(&bob, "bob", Audience::Mcp, None).await;
        let group = group(&door, "ops").await;
        let stage = Self { door, upstream, gateway, group, go_on, bob, token, bobs };
        for caller in [&stage.door.house.alice, &stage.bob] {
            stage.join(caller).await;
        }
        stage.restrict(AccessList::Only { groups: BTreeSet::from([group]), users: BTreeSet::new() }).await;
        stage
    }

    async fn restrict(&self, access: AccessList) {
        let storage = &self.door.house.storage;
        let mut gateway = storage.gateway(self.gateway.id).await.unwrap().unwrap();
        gateway.tool_access = [("x".to_owned(), access)].into();
        let _ = storage.update_gateway(&gateway, None, audit()).await.unwrap();
    }

    async fn join(&self, caller: &Caller) {
        let joined = self.door.house.storage.join_group(self.group, caller.user.id, audit()).await.unwrap();
        assert_eq!(joined, Some(true));
    }

    async fn leave(&self, caller: &Caller) {
        assert!(self.door.house.storage.leave_group(self.group, caller.user.id, audit()).await.unwrap());
    }
}

async fn group(door: &Door, name: &str) -> GroupId {
    let now = door.house.clock.now();
    let group = Group {
        id: Entropy.id(now),
        name: name.into(),
        members: 0,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let _ = door.house.storage.insert_group(&group, audit()).await.unwrap();
    group.id
}

#[tokio::test]
async fn running_calls_of_a_tool_that_is_taken_away_are_cut_and_nobody_elses_and_no_others() {
    for by_group in [true, false] {
        let stage = Stage::set().await;
        let alice = stage.door.client(&stage.token, "/gateways/up/mcp");
        let bob = stage.door.client(&stage.bobs, "/gateways/up/mcp");
        let old = stage.door.client(&stage.token, "/gateways/up/mcp").initialized(V11).await;
        let x = json!({"name": "x"});
        let mut modern = Events::of(alice.begin_modern("tools/call", x.clone()).await);
        let mut older = Events::of(old.begin(&legacy("tools/call", &x.to_string())).await);
        let mut other_tool = Events::of(alice.begin_modern("tools/call", json!({"name": "y"})).await);
        let mut of_bob = Events::of(bob.begin_modern("tools/call", x.clone()).await);
        for stream in [&mut modern, &mut older, &mut other_tool, &mut of_bob] {
            assert_eq!(stream.next().await.unwrap()["method"], "notifications/vendor");
        }
        if by_group {
            stage.leave(&stage.door.house.alice).await;
        } else {
            let users = BTreeSet::from([stage.bob.user.id]);
            stage.restrict(AccessList::Only { groups: BTreeSet::new(), users }).await;
        }
        for stream in [&mut modern, &mut older] {
            assert_eq!(stream.next().await.unwrap()["error"]["code"], 4_012, "by group: {by_group}");
            assert_eq!(stream.next().await, None);
        }
        for _ in 0..2 {
            stage.upstream.wait_for(|seen| seen.method() == "notifications/cancelled").await;
        }
        stage.go_on.add_permits(4);
        for stream in [&mut other_tool, &mut of_bob] {
            assert!(stream.next().await.unwrap()["result"].is_object());
        }
        assert_eq!(alice.modern("tools/call", x.clone()).await.code(), -32_602);
    }
}

#[tokio::test]
async fn whoever_sees_other_tools_than_before_hears_of_it_on_streams_of_either_era() {
    let stage = Stage::set().await;
    let alice = &stage.door.house.alice;
    for path in ["/mcp", "/gateways/up/mcp"] {
        let old = stage.door.client(&stage.token, path).initialized(V11).await;
        let new = stage.door.client(&stage.token, path);
        let name = if path == "/mcp" { "\"up-x\"" } else { "\"x\"" };
        let filter = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}});
        let mut older = Events::of(old.bare("GET", &[]).await);
        let mut newer = Events::of(new.begin_modern("subscriptions/listen", filter).await);
        newer.next().await.unwrap();
        old.call("tools/list", "{}").await.result();
        // What changes nothing is not told.
        let unrelated = group(&stage.door, path).await;
        stage.door.house.storage.join_group(unrelated, alice.user.id, audit()).await.unwrap();
        for is_in in [false, true] {
            if is_in {
                stage.join(alice).await;
            } else {
                stage.leave(alice).await;
            }
            for stream in [&mut older, &mut newer] {
                let told = stream.next().await.unwrap();
                assert_eq!(
                    told["method"], "notifications/tools/list_changed",
                    "{path}, in the group: {is_in}"
                );
            }
            // The list is right each time, for her and for him.
            let bob = stage.door.client(&stage.bobs, path);
            assert_eq!(old.call("tools/list", "{}").await.text.contains(name), is_in, "{path}");
            assert_eq!(new.modern("tools/list", json!({})).await.text.contains(name), is_in, "{path}");
            assert!(bob.modern("tools/list", json!({})).await.text.contains(name), "{path}");
        }
    }
}
