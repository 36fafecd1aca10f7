//! S13, R34: whose account it is, and what happens when somebody comes back as another.

use crate::vendors::Stage;
use crate::world::bearer;
use doorward_broker::{Access, Finished, OAuthInput};
use doorward_domain::{PageRequest, ProviderFacts};
use doorward_storage::AuditFilter;

#[tokio::test]
async fn r34_another_account_takes_no_place_until_its_user_says_so() {
    let stage = Stage::of("gitlab").await;
    let gateway = stage.gateway("demo", stage.input(stage.filled())).await.unwrap();
    let first = stage.consent(&gateway).await.unwrap();
    let token = stage.call(&gateway, "as octo").await.unwrap();
    stage.vendor.account("18", "another");
    let began = stage.broker.begin_authorization(&stage.world.alice, "demo", None).await.unwrap();
    let Finished::OtherAccount { kept, came, .. } = stage.finish(began).await.unwrap() else { panic!() };
    assert_eq!((kept.name.as_deref(), came.name.as_deref()), (Some("octo"), Some("another")));
    assert_eq!(stage.grant(&gateway).await, first, "nothing has changed");
    assert!(stage.vendor.opens(&token));
    let revoked = stage.vendor.log().iter().filter(|line| line.ends_with("/oauth/revoke")).count();
    assert_eq!(revoked, 2, "what the other brought is ended at the provider");

    let began = stage.broker.begin_with_any_account(&stage.world.alice, "demo", None).await.unwrap();
    assert!(matches!(stage.finish(began).await.unwrap(), Finished::Connected { .. }));
    let grant = stage.grant(&gateway).await;
    assert_eq!((grant.id, grant.account.unwrap().subject), (first.id, "18".to_owned()));
    let filter =
        AuditFilter { action_prefix: Some("authorization.other_account".into()), ..Default::default() };
    let page = PageRequest::default();
    let events = stage.world.broker.audit_events(&stage.world.admin, &filter, &page).await.unwrap().items;
    let told = format!("{events:?}");
    assert!(events.len() == 1 && told.contains("octo") && told.contains("another"), "{told}");
    let line = format!("{:?}", stage.world.time_line(first.id).await.last().unwrap());
    assert!(line.contains("17 (octo)") && line.contains("18 (another)"), "{line}");
}

#[tokio::test]
async fn an_account_that_nobody_names_is_not_made_up() {
    let stage = Stage::of("gitlab").await;
    let filled = stage.filled();
    let mut whoami = filled.facts.whoami.clone().unwrap();
    whoami.url = "http://127.0.0.1:9/me".parse().unwrap();
    let facts = Some(ProviderFacts { whoami: Some(whoami), ..filled.facts.clone() });
    // The MCP server of these gateways stands there, so it may be asked; it does not answer.
    let gateway = stage.gateway("demo", OAuthInput { facts, ..stage.input(filled) }).await.unwrap();
    let grant = stage.consent(&gateway).await.unwrap();
    assert_eq!(grant.account, None, "an account that nobody names is not made up");
    let access = stage.broker.access(&stage.world.alice, &gateway).await.unwrap();
    assert!(matches!(access, Access::Header(_)) && bearer(&access).starts_with("Bearer "));
}
