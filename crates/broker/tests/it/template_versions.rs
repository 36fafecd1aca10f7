//! A template that is mended changes no gateway, and the gateway says that there is something newer.

use crate::world::{World, broker_of};
use doorward_broker::{AuthorizationInput, GatewayInput, OAuthInput, TemplateChoice};
use doorward_domain::Policy;
use doorward_oauth::ProviderTemplates;

fn templates(version: u32) -> ProviderTemplates {
    let text = format!("version = {version}\nname = \"Acme\"\n[facts]\nidle_death_days = {version}\n");
    ProviderTemplates::with(&[("acme.toml".to_owned(), text)]).unwrap()
}

#[tokio::test]
async fn a_mended_template_changes_no_gateway_and_is_shown_as_newer() {
    let world = World::start().await;
    let broker =
        |version| broker_of(&world.storage, &world.clock, &world.ring, Policy::default(), templates(version));
    let choice = |version| TemplateChoice { id: "acme".into(), version, inputs: [].into() };
    let with = |version| {
        let oauth = OAuthInput { template: Some(choice(version)), ..world.oauth_input() };
        let authorization = Some(AuthorizationInput::OAuth(Box::new(oauth)));
        GatewayInput { authorization, ..world.gateway_input("demo") }
    };
    let made = broker(1).create_gateway(&world.admin, with(None)).await.unwrap();
    assert_eq!(broker(1).newer_template(&made), None);
    let later = broker(2);
    assert_eq!(later.newer_template(&made), Some(2));
    let edit = |version| GatewayInput { slug: None, ..with(version) };
    let kept = later.update_gateway(&world.admin, made.id, None, edit(Some(1))).await.unwrap().gateway;
    assert_eq!(later.newer_template(&kept), Some(2), "an edit of other fields does not take the new values");
    let taken = later.update_gateway(&world.admin, made.id, None, edit(None)).await.unwrap().gateway;
    assert_eq!(later.newer_template(&taken), None);
    let future = later.update_gateway(&world.admin, made.id, None, edit(Some(9))).await.unwrap().gateway;
    assert_eq!(future.oauth().unwrap().template.as_ref().unwrap().version, 2, "no version that nobody wrote");
}
