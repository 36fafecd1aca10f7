//! The setup doctor: each mistake is named with what to change, and nothing comes of the look.

use crate::vendors::Stage;
use crate::world::World;
use doorward_broker::{CheckVerdict, Edit, Finished, GatewayCheck, OAuthInput};
use doorward_domain::{ClientSecret, Gateway, GrantOwner, TokenEndpointAuth};

impl World {
    async fn checked(&self, gateway: &Gateway) -> GatewayCheck {
        self.broker.check_gateway(&self.admin, gateway.id).await.unwrap()
    }
}

fn said(check: &GatewayCheck, verdict: CheckVerdict, subject: &str) -> String {
    let found = check.findings.iter().find(|found| found.verdict == verdict && found.subject == subject);
    found.unwrap_or_else(|| panic!("nothing {verdict:?} of {subject}: {check:#?}")).text.clone()
}

#[tokio::test]
async fn m11_a_gateway_that_is_set_up_well_passes_and_nobody_loses_anything() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let before = world.grant(&gateway).await;
    let consents = world.demo.authorization_server.log().consents;
    let check = world.checked(&gateway).await;
    assert!(check.passes(), "{check:#?}");
    for subject in ["mcp_server", "issuer", "pkce", "client_authentication", "redirect_uri", "revocation"] {
        said(&check, CheckVerdict::Good, subject);
    }
    assert_eq!(world.grant(&gateway).await, before);
    assert_eq!(world.demo.authorization_server.log().consents, consents);
    assert!(world.broker.check_gateway(&world.alice, gateway.id).await.is_err());
    assert_eq!(world.time_line_of_gateway(gateway.id).await.last().unwrap(), "gateway.check");
}

#[tokio::test]
async fn m11_each_mistake_is_named_with_what_to_change() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let wrong = |edit: fn(&mut OAuthInput)| world.edited(&gateway, edit);
    let secret = wrong(|oauth| oauth.client_secret = Edit::Set(ClientSecret::new("wrong"))).await;
    let told = said(&world.checked(&secret).await, CheckVerdict::Wrong, "client_authentication");
    assert!(told.contains("'invalid_client'") && told.contains("client ID and secret"), "{told}");
    let client = wrong(|oauth| oauth.client_id = "nobody".into()).await;
    let told = said(&world.checked(&client).await, CheckVerdict::Wrong, "redirect_uri");
    assert!(told.contains("http://localhost:4444/oauth/callback"), "{told}");
    let scopes = wrong(|oauth| oauth.scopes = vec!["everything".into()]).await;
    let told = said(&world.checked(&scopes).await, CheckVerdict::Wrong, "authorization_url");
    assert!(told.contains("'invalid_scope'"), "{told}");
    let issuer = wrong(|oauth| oauth.issuer = Some("http://127.0.0.1:9".into())).await;
    said(&world.checked(&issuer).await, CheckVerdict::Wrong, "issuer");
    let gone = wrong(|oauth| oauth.token_url = "http://127.0.0.1:9/token".into()).await;
    let check = world.checked(&gone).await;
    said(&check, CheckVerdict::Advice, "token_url");
    said(&check, CheckVerdict::Advice, "client_authentication");
}

#[tokio::test]
async fn m11_the_template_knows_what_a_refresh_token_hangs_on() {
    let stage = Stage::of("okta").await;
    let whole = stage.input(stage.filled());
    let gateway = stage.gateway("okta", whole.clone()).await.unwrap();
    let check = stage.broker.check_gateway(&stage.world.admin, gateway.id).await.unwrap();
    said(&check, CheckVerdict::Good, "client_authentication");
    let scopes = vec!["openid".to_owned()];
    let auth = Some(TokenEndpointAuth::Post);
    let input = OAuthInput { scopes, token_endpoint_auth: auth, ..whole };
    let gateway = stage.gateway("broken", input).await.unwrap();
    let check = stage.broker.check_gateway(&stage.world.admin, gateway.id).await.unwrap();
    assert!(said(&check, CheckVerdict::Wrong, "offline_access").contains("refresh token"));
    assert!(said(&check, CheckVerdict::Wrong, "client_authentication").contains("in the form (post)"));
}

#[tokio::test]
async fn m11_a_test_login_tells_whether_a_refresh_token_comes_and_keeps_nothing() {
    let stage = Stage::of("okta").await;
    let gateway = stage.gateway("okta", stage.input(stage.filled())).await.unwrap();
    let warning = stage.broker.test_login_warning(&stage.world.admin, &gateway).await.unwrap().join(" ");
    assert!(
        warning.contains("only openid, offline_access") && warning.contains("told to end them"),
        "{warning}"
    );
    let began = stage.broker.begin_test_login(&stage.world.admin, gateway.id).await.unwrap();
    let Finished::Tested { check, .. } = stage.finish_as(&stage.world.admin, began).await.unwrap() else {
        panic!()
    };
    assert!(check.passes(), "{check:#?}");
    for subject in ["login", "refresh_token", "lifetime", "account", "revocation"] {
        said(&check, CheckVerdict::Good, subject);
    }
    let owner = GrantOwner::User(stage.world.admin.user.id);
    assert!(stage.world.storage.grant_of(owner, gateway.id).await.unwrap().is_none(), "nothing is kept");
    assert!(stage.broker.begin_test_login(&stage.world.alice, gateway.id).await.is_err());

    let scopes = vec!["openid".to_owned()];
    let input = OAuthInput { scopes, ..stage.input(stage.filled()) };
    let offline = stage.gateway("offline", input).await.unwrap();
    let began = stage.broker.begin_test_login(&stage.world.admin, offline.id).await.unwrap();
    let Finished::Tested { check, .. } = stage.finish_as(&stage.world.admin, began).await.unwrap() else {
        panic!()
    };
    assert!(said(&check, CheckVerdict::Wrong, "refresh_token").contains("offline"));
}

#[tokio::test]
async fn m11_the_doctor_says_which_revisions_the_server_speaks_and_what_the_template_says_otherwise() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    // Its first answer is a refusal: without a token it says nothing.
    let told = said(&world.checked(&gateway).await, CheckVerdict::Advice, "protocol");
    assert!(told.contains("first token"), "{told}");

    let stage = Stage::of("okta").await;
    let whole = stage.input(stage.filled());
    let gateway = stage.gateway("okta", whole.clone()).await.unwrap();
    let check = stage.broker.check_gateway(&stage.world.admin, gateway.id).await.unwrap();
    said(&check, CheckVerdict::Good, "template");
    let elsewhere = format!("{}/elsewhere", stage.vendor.base());
    let input = OAuthInput { token_url: elsewhere.clone(), ..whole };
    let gateway = stage.gateway("elsewhere", input).await.unwrap();
    let check = stage.broker.check_gateway(&stage.world.admin, gateway.id).await.unwrap();
    let told = said(&check, CheckVerdict::Advice, "template");
    assert!(told.contains("token URL") && told.contains(&elsewhere), "{told}");
}

#[tokio::test]
async fn m11_an_issuer_that_leaves_its_tenant_open_is_read_where_the_template_says() {
    let stage = Stage::of("microsoft").await;
    let gateway = stage.gateway("microsoft", stage.input(stage.filled())).await.unwrap();
    let check = stage.broker.check_gateway(&stage.world.admin, gateway.id).await.unwrap();
    let told = said(&check, CheckVerdict::Good, "issuer");
    assert!(told.contains("any one tenant") && told.contains("9188040d"), "{told}");
    said(&check, CheckVerdict::Good, "token_url");
    let told = said(&check, CheckVerdict::Advice, "pkce");
    assert!(told.contains("sends it all the same"), "{told}");
}
