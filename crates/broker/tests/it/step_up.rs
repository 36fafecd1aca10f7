//! An upstream that wants more scopes than a token has: asked, bounded, and shown.

use crate::world::World;
use doorward_broker::{AuthorizationInput, ConnectPage, Finished, GatewayInput, OAuthInput, StepUp};
use doorward_domain::{Gateway, ProviderFacts};
use std::sync::Arc;
use std::time::Duration;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl World {
    async fn with_ceiling(&self, ceiling: &str) -> Arc<Gateway> {
        let facts =
            ProviderFacts { request_only_scopes: words("offline_access"), ..ProviderFacts::default() };
        let oauth =
            OAuthInput { scope_ceiling: Some(words(ceiling)), facts: Some(facts), ..self.oauth_input() };
        let authorization = Some(AuthorizationInput::OAuth(Box::new(oauth)));
        let input = GatewayInput { authorization, ..self.gateway_input("demo") };
        let gateway = self.broker.create_gateway(&self.admin, input).await.unwrap();
        self.consented().await;
        gateway
    }

    async fn consented(&self) {
        let finished = self.connect(&self.broker, &self.alice, None).await;
        assert!(matches!(finished, Finished::Connected { .. }), "{finished:?}");
    }

    async fn wants(&self, gateway: &Arc<Gateway>, scopes: &str) -> StepUp {
        let used = crate::world::used(&self.access(gateway).await);
        self.broker.step_up(&self.alice, gateway, &used, &words(scopes)).await.unwrap()
    }

    async fn asked(&self) -> (Vec<String>, Vec<String>) {
        match self.broker.connect_page(&self.alice, "demo", None).await.unwrap() {
            ConnectPage::Ask(ask) => (ask.scopes, ask.new_scopes),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn m10_the_user_is_asked_for_the_union_and_the_page_marks_what_is_new() {
    let world = World::start().await;
    let gateway = world.with_ceiling("repos").await;
    assert_eq!(world.wants(&gateway, "notes repos offline_access").await, StepUp::Ask);
    assert_eq!(world.wants(&gateway, "repos").await, StepUp::Ask, "many calls make one question");
    assert_eq!(world.asked().await, (words("openid notes repos"), words("repos")));
    let link = world.broker.connect_link(&world.alice, &gateway, "editor").await.unwrap();
    assert!(link.more_scopes, "the client is told that it is about more rights, not about a connection");
    let waited = world.broker.wait_for_grant(&world.alice, gateway.id, Duration::from_millis(20)).await;
    assert!(!waited.unwrap(), "the grant that is there is not what is waited for");
    world.consented().await;
    assert!(world.broker.wait_for_grant(&world.alice, gateway.id, Duration::from_secs(5)).await.unwrap());
    assert!(!world.broker.connect_link(&world.alice, &gateway, "editor").await.unwrap().more_scopes);
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!(grant.scopes_granted, words("openid notes repos"));
    assert_eq!(world.asked().await.1, Vec::<String>::new());
    assert_eq!(world.wants(&gateway, "repos").await, StepUp::Nothing, "the token has it: a no is a no");
    assert_eq!(world.wants(&gateway, "").await, StepUp::Nothing);
}

#[tokio::test]
async fn an_upstream_that_asks_beyond_its_ceiling_is_refused_and_shown_to_the_administrator() {
    let world = World::start().await;
    let gateway = world.with_ceiling("").await;
    for _ in 0..3 {
        assert_eq!(world.wants(&gateway, "repos admin").await, StepUp::BeyondCeiling);
    }
    assert_eq!(world.asked().await.0, words("openid notes"));
    let shown = world.broker.gateway(&world.admin, gateway.id).await.unwrap();
    assert_eq!(shown.oauth().unwrap().refused_scopes, words("repos admin"));
    let told = world.time_line_of_gateway(gateway.id).await;
    assert_eq!(told.iter().filter(|action| *action == "gateway.scopes_refused").count(), 1, "{told:?}");
    let allowed = world.edited(&gateway, |oauth| oauth.scope_ceiling = Some(words("*"))).await;
    assert!(allowed.oauth().unwrap().refused_scopes.is_empty());
    assert_eq!(world.wants(&allowed, "repos").await, StepUp::Ask);
}

#[tokio::test]
async fn three_consents_that_do_not_help_are_the_last() {
    let world = World::start().await;
    let gateway = world.with_ceiling("repos").await;
    for _ in 0..3 {
        assert_eq!(world.wants(&gateway, "repos").await, StepUp::Ask);
        world.consented().await;
        world.by_hand("UPDATE grants SET scopes_granted = '[\"notes\"]'").await;
    }
    assert_eq!(world.wants(&gateway, "repos").await, StepUp::Exhausted);
}
