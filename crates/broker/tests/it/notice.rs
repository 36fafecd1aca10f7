//! Notices: what is told, in which order, by whom, and what happens when nobody listens.

use crate::world::World;
use doorward_broker::{AuthorizationInput, Broker, GatewayInput, OAuthInput};
use doorward_domain::{Actor, NewAuditEvent, Notice};
use std::sync::Mutex;

/// A receiver that notes what it is sent, and answers as it is told.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<Notice>>,
    down: Mutex<bool>,
}

impl Receiver {
    async fn receive(&self, notice: Notice) -> Result<(), String> {
        self.got.lock().unwrap().push(notice);
        if *self.down.lock().unwrap() { Err("it was answered 503".to_owned()) } else { Ok(()) }
    }

    async fn told_by(&self, broker: &Broker) -> u64 {
        broker.deliver_notices(|notice| self.receive(notice)).await.unwrap()
    }

    /// The numbers of what came since the last look.
    fn came(&self) -> Vec<String> {
        let got = std::mem::take(&mut *self.got.lock().unwrap());
        got.into_iter().map(|notice| notice.detail["reason"].clone()).collect()
    }
}

async fn parked(world: &World, reason: &str) {
    let event = NewAuditEvent::new(Actor::System, "grant.park")
        .detail("reason", reason)
        .detail("provider_words", "anything");
    world.broker.record(event).await.unwrap();
}

#[tokio::test]
async fn notices_are_told_in_order_and_once() {
    let world = World::start().await;
    let receiver = Receiver::default();
    parked(&world, "before").await;
    assert_eq!(receiver.told_by(&world.broker).await, 0, "what was before the webhook is nobody's news");
    for reason in ["one", "two", "three"] {
        parked(&world, reason).await;
        world.broker.record(NewAuditEvent::new(Actor::System, "login")).await.unwrap();
    }
    assert_eq!(receiver.told_by(&world.broker).await, 3);
    let detail = receiver.got.lock().unwrap()[0].detail.clone();
    assert_eq!(
        detail.into_iter().collect::<Vec<_>>(),
        [("reason".to_owned(), "one".to_owned())],
        "an allow list"
    );
    assert_eq!(receiver.came(), ["one", "two", "three"]);
    assert_eq!(receiver.told_by(&world.second_broker()).await, 0);
}

#[tokio::test]
async fn two_replicas_tell_each_notice_once() {
    let world = World::start().await;
    let receiver = Receiver::default();
    receiver.told_by(&world.broker).await;
    for number in 0..20 {
        parked(&world, &number.to_string()).await;
    }
    let other = world.second_broker();
    let (one, two) = tokio::join!(receiver.told_by(&world.broker), receiver.told_by(&other));
    assert_eq!(one + two, 20);
    assert_eq!(receiver.came(), (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_notice_that_nobody_hears_is_tried_again_ever_more_rarely_and_given_up_after_three_days() {
    let world = World::start().await;
    let receiver = Receiver::default();
    receiver.told_by(&world.broker).await;
    parked(&world, "one").await;
    parked(&world, "two").await;
    *receiver.down.lock().unwrap() = true;
    receiver.told_by(&world.broker).await;
    receiver.told_by(&world.broker).await;
    assert_eq!(receiver.came(), ["one"], "before its time there is no second attempt, and nothing overtakes");
    world.advance(10);
    receiver.told_by(&world.broker).await;
    world.advance(10);
    receiver.told_by(&world.broker).await;
    assert_eq!(receiver.came(), ["one"]);
    world.advance(2 * 86_400);
    parked(&world, "three").await;
    world.advance(86_400);
    receiver.told_by(&world.broker).await;
    assert_eq!(receiver.came(), ["three"], "the others are given up");
    *receiver.down.lock().unwrap() = false;
    world.advance(3_600);
    assert_eq!(
        receiver.told_by(&world.second_broker()).await,
        1,
        "another replica goes on where this one was"
    );
    assert_eq!(receiver.came(), ["three"]);
}

#[tokio::test]
async fn a_gateway_that_trusts_another_issuer_is_news() {
    let world = World::start().await;
    let receiver = Receiver::default();
    receiver.told_by(&world.broker).await;
    let gateway = world.gateway().await;
    let edit = |oauth: OAuthInput| GatewayInput {
        slug: None,
        authorization: Some(AuthorizationInput::OAuth(Box::new(oauth))),
        ..world.gateway_input("demo")
    };
    world.broker.update_gateway(&world.admin, gateway.id, None, edit(world.oauth_input())).await.unwrap();
    assert_eq!(receiver.told_by(&world.broker).await, 0, "an edit is no news");
    let elsewhere = OAuthInput { issuer: Some("https://other.example".into()), ..world.oauth_input() };
    world.broker.update_gateway(&world.admin, gateway.id, None, edit(elsewhere)).await.unwrap();
    assert_eq!(receiver.told_by(&world.broker).await, 1);
    let got = receiver.got.lock().unwrap();
    assert_eq!((got[0].kind.as_str(), got[0].gateway.as_deref()), ("gateway.issuer_changed", Some("demo")));
    assert_eq!(got[0].detail["issuer"], "https://other.example");
    assert_eq!(got[0].subject, Some(gateway.id.to_string()));
}
