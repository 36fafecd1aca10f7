//! Ending grants: here at once, at the provider afterwards, with a receipt.

use crate::world::{World, bearer};
use doorward_broker::{
    Access, AuthorizationInput, BrokerError, BulkOrder, Edit, GatewayInput, OAuthInput, UserEdit,
};
use doorward_demo::TokenFault;
use doorward_domain::*;
use doorward_storage::EndedFilter;
use doorward_vault::{KeyRing, Place, Vault};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const UNLESS_WIDE: ProviderEnd = ProviderEnd::UnlessWide;

impl World {
    /// Alice's tokens, as the provider gave them.
    async fn plain_tokens(&self, gateway: &Gateway) -> (String, String) {
        let grant = self.grant(gateway).await.unwrap();
        let vault = Vault::new(KeyRing::parse(&self.ring).unwrap());
        let refresh = grant.tokens.refresh_token.as_ref().unwrap();
        let refresh: RefreshToken = vault.open(&Place::grant_refresh_token(grant.id), refresh).unwrap();
        let access: AccessToken =
            vault.open(&Place::grant_access_token(grant.id), &grant.tokens.access_token).unwrap();
        (access.expose_secret().to_owned(), refresh.expose_secret().to_owned())
    }

    async fn revoke(&self, gateway: &Gateway, provider: ProviderEnd) -> EndedGrant {
        let id = self.grant(gateway).await.unwrap().id;
        self.broker.revoke(&self.admin, id, Some("left the team"), provider).await.unwrap()
    }

    async fn receipt(&self, id: GrantId) -> (Receipt, Option<String>) {
        let ended = self.broker.ended_grant(&self.admin, id).await.unwrap();
        (ended.receipt, ended.receipt_detail)
    }

    /// A gateway whose authorization server is told as these facts say, with alice connected.
    async fn connected_with(&self, facts: ProviderFacts) -> Arc<Gateway> {
        let oauth = OAuthInput { facts: Some(facts), ..self.oauth_input() };
        let authorization = Some(AuthorizationInput::OAuth(Box::new(oauth)));
        let input = GatewayInput { authorization, ..self.gateway_input("demo") };
        let gateway = self.broker.create_gateway(&self.admin, input).await.unwrap();
        self.connect(&self.broker, &self.alice, None).await;
        gateway
    }

    async fn set_state(&self, gateway: &Gateway, state: GatewayState) {
        let edit = GatewayInput { state: Some(state), ..GatewayInput::default() };
        self.broker.update_gateway(&self.admin, gateway.id, None, edit).await.unwrap();
    }
}

#[tokio::test]
async fn r22_the_provider_gets_exactly_the_stored_tokens_and_confirms() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let (access, refresh) = world.plain_tokens(&gateway).await;
    let ended = world.revoke(&gateway, UNLESS_WIDE).await;
    assert_eq!((ended.receipt, ended.cause), (Receipt::Pending, EndCause::Revoked));
    assert_eq!((ended.reason.as_deref(), ended.actor), (Some("left the team"), world.admin.actor()));
    world.broker.tell_providers().await.unwrap();
    let told = world.demo.authorization_server.log().revocations;
    let told: Vec<_> = told
        .iter()
        .map(|asked| (asked.token.as_str(), asked.hint.as_str(), asked.client_id.as_str()))
        .collect();
    assert_eq!(told, [(&*refresh, "refresh_token", "doorward"), (&*access, "access_token", "doorward")]);
    assert!(!world.demo.authorization_server.lives(&access));
    assert_eq!(world.receipt(ended.grant_id).await, (Receipt::EndedAtProvider, None));
    world.broker.tell_providers().await.unwrap();
    assert_eq!(world.demo.authorization_server.log().revocations.len(), 2, "told once");
    let filter =
        doorward_storage::AuditFilter { subject: Some(ended.grant_id.to_string()), ..Default::default() };
    let events = world.broker.audit_events(&world.admin, &filter, &PageRequest::default()).await.unwrap();
    let actions: Vec<_> = events.items.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["grant.provider_told", "grant.revoke", "grant.authorize"]);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_told_again_and_given_up_after_three_days() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let busy = || {
        let fault = TokenFault::Unavailable { retry_after_seconds: 7 };
        world.demo.authorization_server.faults().next_revocation_answer(fault);
    };
    let tries = || world.demo.authorization_server.log().revocations.len();
    let id = world.revoke(&gateway, UNLESS_WIDE).await.grant_id;
    busy();
    world.broker.tell_providers().await.unwrap();
    world.broker.tell_providers().await.unwrap();
    assert_eq!((tries(), world.receipt(id).await.0), (1, Receipt::Pending), "it waits");
    world.advance(90);
    world.broker.tell_providers().await.unwrap();
    assert_eq!(world.receipt(id).await.0, Receipt::EndedAtProvider);

    world.connect(&world.broker, &world.alice, None).await;
    let id = world.revoke(&gateway, UNLESS_WIDE).await.grant_id;
    world.demo.authorization_server.clear_log();
    for _ in 0..200 {
        busy();
        world.broker.tell_providers().await.unwrap();
        world.advance(3_600);
        if world.receipt(id).await.0 != Receipt::Pending {
            break;
        }
    }
    assert_eq!(world.receipt(id).await, (Receipt::GaveUp, Some("status 503".into())));
    assert!((10..40).contains(&tries()), "{} tries in three days", tries());
    assert!(!world.storage.provider_revocations_due().await.unwrap());
}

#[tokio::test]
async fn a_provider_that_refuses_is_quoted_and_no_secret_is_kept() {
    let world = World::start().await;
    let gateway = world.connected().await;
    for _ in 0..2 {
        let fault = TokenFault::Refused { status: 400, error: "unsupported_token_type".into() };
        world.demo.authorization_server.faults().next_revocation_answer(fault);
    }
    let id = world.revoke(&gateway, UNLESS_WIDE).await.grant_id;
    world.broker.tell_providers().await.unwrap();
    assert_eq!(world.receipt(id).await, (Receipt::Refused, Some("unsupported_token_type".into())));
    world.advance(30 * 86_400);
    assert!(!world.storage.provider_revocations_due().await.unwrap());
}

#[tokio::test]
async fn r26_after_a_revoke_the_next_call_asks_in_every_process() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let other = world.second_broker();
    bearer(&world.access(&gateway).await);
    bearer(&other.access(&world.alice, &gateway).await.unwrap());
    world.revoke(&gateway, UNLESS_WIDE).await;
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    assert!(matches!(other.access(&world.alice, &gateway).await.unwrap(), Access::MustAuthorize { .. }));
}

#[tokio::test]
async fn r24_tokens_that_come_after_the_revoke_are_revoked_at_the_provider() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    let release = Arc::new(Notify::new());
    world.demo.authorization_server.faults().next_token_answer(TokenFault::HeldUntil(Arc::clone(&release)));
    let end = async {
        while world.demo.authorization_server.log().token_requests_of("refresh_token") == 0 {
            tokio::task::yield_now().await;
        }
        let ended = world.revoke(&gateway, UNLESS_WIDE).await;
        world.broker.tell_providers().await.unwrap();
        release.notify_one();
        ended.grant_id
    };
    let (access, id) = tokio::join!(world.access(&gateway), end);
    assert!(!matches!(access, Access::Header(_)));
    assert!(world.grant(&gateway).await.is_none());
    assert_eq!(world.receipt(id).await.0, Receipt::Pending);
    world.broker.tell_providers().await.unwrap();
    let told = world.demo.authorization_server.log().revocations;
    let refresh_tokens: Vec<_> =
        told.iter().filter(|asked| asked.hint == "refresh_token").map(|asked| &asked.token).collect();
    assert_eq!(refresh_tokens.len(), 2);
    assert_ne!(refresh_tokens[0], refresh_tokens[1], "the spent one, then the one that came late");
    assert_eq!(world.receipt(id).await.0, Receipt::EndedAtProvider);
}

#[tokio::test]
async fn r27_a_call_that_would_end_more_is_made_only_when_a_person_chose_it() {
    let wide = ProviderFacts {
        revocation_reach: RevocationReach::AllOfAppForUser,
        user_apps_url: Some("https://provider.example/apps".parse().unwrap()),
        ..ProviderFacts::default()
    };
    let world = World::start().await;
    let gateway = world.connected_with(wide).await;
    let told = || world.demo.authorization_server.log().revocations.len();
    let ended = world.revoke(&gateway, UNLESS_WIDE).await;
    assert_eq!(ended.receipt, Receipt::NotTold);
    assert_eq!(ended.user_apps_url.as_deref(), Some("https://provider.example/apps"));
    world.connect(&world.broker, &world.alice, None).await;
    let ended = world.broker.disconnect(&world.alice, gateway.id, ProviderEnd::HereOnly).await.unwrap();
    assert_eq!(ended.receipt, Receipt::NotTold);
    world.broker.tell_providers().await.unwrap();
    assert_eq!(told(), 0);
    world.connect(&world.broker, &world.alice, None).await;
    let ended = world.broker.disconnect(&world.alice, gateway.id, ProviderEnd::ThereToo).await.unwrap();
    assert_eq!(ended.receipt, Receipt::Pending);
    world.broker.tell_providers().await.unwrap();
    assert_eq!(told(), 2);
    // A cascade never does.
    world.connect(&world.broker, &world.alice, None).await;
    world.broker.delete_gateway(&world.admin, gateway.id, None).await.unwrap();
    world.broker.tell_providers().await.unwrap();
    assert_eq!(told(), 2);
}

#[tokio::test]
async fn only_those_who_may_end_other_peoples_grants() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let id = world.grant(&gateway).await.unwrap().id;
    let refused = world.broker.revoke(&world.alice, id, None, UNLESS_WIDE).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Forbidden { need: Permission::RevokeGrants }));
    let refused = world.broker.require_authorization(&world.alice, id, None).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Forbidden { .. }));
    let page = PageRequest::default();
    assert!(world.broker.ended_grants(&world.alice, &EndedFilter::default(), &page).await.is_err());
    let unknown = world.broker.revoke(&world.admin, Entropy.id(world.clock.now()), None, UNLESS_WIDE).await;
    assert!(matches!(unknown.unwrap_err(), BrokerError::NotFound { .. }));
    for reason in ["", " ", "two\nlines"] {
        let wrong = world.broker.revoke(&world.admin, id, Some(reason), UNLESS_WIDE).await.unwrap_err();
        assert!(matches!(wrong, BrokerError::Invalid { .. }), "{reason:?}");
    }
    assert!(world.grant(&gateway).await.is_some());
}

#[tokio::test]
async fn m7_a_forced_authorization_asks_at_the_next_use_and_the_old_tokens_stay_until_then() {
    let world = World::start().await;
    let gateway = world.connected().await;
    bearer(&world.access(&gateway).await);
    let before = world.grant(&gateway).await.unwrap();
    world.broker.require_authorization(&world.admin, before.id, Some("new scopes")).await.unwrap();
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    let forced = world.grant(&gateway).await.unwrap();
    assert_eq!(forced.state, GrantState::NeedsAuthorization(ReauthorizationReason::Forced));
    assert_eq!(forced.tokens, before.tokens);
    world.connect(&world.broker, &world.alice, None).await;
    bearer(&world.access(&gateway).await);
    assert_eq!(world.grant(&gateway).await.unwrap().id, before.id);
}

#[tokio::test]
async fn m12_an_order_about_many_is_looked_at_first_and_given_with_the_number_that_was_seen() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let filter = GrantFilter { gateway: Some(gateway.id), ..GrantFilter::default() };
    let choice = GrantChoice::Filter(filter);
    let seen = world.broker.preview_bulk(&world.admin, &choice).await.unwrap();
    assert_eq!((seen.count, seen.grants[0].user_email.as_deref()), (1, Some("alice@example.com")));
    assert!(world.grant(&gateway).await.is_some(), "a preview does nothing");
    let order = |choice: &GrantChoice, expected| BulkOrder {
        kind: BulkKind::Revoke,
        choice: choice.clone(),
        reason: "the laptop was stolen".into(),
        provider: UNLESS_WIDE,
        expected,
    };
    let wrong = world.broker.order_bulk(&world.admin, order(&choice, 2)).await.unwrap_err();
    assert!(
        matches!(&wrong, BrokerError::Conflict { problem, .. } if problem.contains("1 OAuth tokens") && problem.contains("not 2")),
        "{wrong}"
    );
    let everybody = GrantChoice::Filter(GrantFilter::default());
    for empty in [everybody, GrantChoice::Ids(vec![])] {
        let refused = world.broker.order_bulk(&world.admin, order(&empty, 1)).await.unwrap_err();
        assert!(matches!(refused, BrokerError::Invalid { .. }));
    }
    assert!(world.broker.order_bulk(&world.alice, order(&choice, 1)).await.is_err());
    let job = world.broker.order_bulk(&world.admin, order(&choice, 1)).await.unwrap();
    assert_eq!((job.done, job.waiting, job.gone), (1, 0, 0));
    assert!(job.finished_at.is_some());
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    let (_, rows) = world.broker.bulk_job(&world.admin, job.id, &PageRequest::default()).await.unwrap();
    assert_eq!((rows.items[0].result, rows.items[0].receipt), (BulkResult::Done, Some(Receipt::Pending)));
    world.broker.work_on_bulk_jobs().await.unwrap();
}

/// The table of causes and effects in docs/administrators.md, row by row.
mod causes {
    use super::*;

    async fn ended_with(world: &World, gateway: &Gateway, id: GrantId, cause: EndCause) {
        let ended = world.broker.ended_grant(&world.admin, id).await.unwrap();
        assert_eq!((ended.cause, ended.receipt), (cause, Receipt::Pending));
        world.broker.tell_providers().await.unwrap();
        assert_eq!(world.receipt(id).await.0, Receipt::EndedAtProvider);
        let owner = GrantOwner::User(world.alice.user.id);
        assert_eq!(world.storage.grant_of(owner, gateway.id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_disabled_person_loses_every_grant_and_an_enabled_one_is_asked_anew() {
        let world = World::start().await;
        let gateway = world.connected().await;
        let id = world.grant(&gateway).await.unwrap().id;
        let set = async |state| {
            let edit = UserEdit { state: Some(state), ..UserEdit::default() };
            world.broker.update_user(&world.admin, world.alice.user.id, None, edit).await.unwrap();
        };
        set(UserState::Disabled).await;
        ended_with(&world, &gateway, id, EndCause::UserDisabled).await;
        set(UserState::Active).await;
        assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    }

    #[tokio::test]
    async fn a_deleted_person_loses_every_grant() {
        let world = World::start().await;
        let gateway = world.connected().await;
        let id = world.grant(&gateway).await.unwrap().id;
        world.broker.delete_user(&world.admin, world.alice.user.id, None).await.unwrap();
        ended_with(&world, &gateway, id, EndCause::UserDeleted).await;
    }

    #[tokio::test]
    async fn a_deleted_gateway_ends_its_grants_and_the_provider_is_still_told() {
        let world = World::start().await;
        let gateway = world.connected().await;
        let id = world.grant(&gateway).await.unwrap().id;
        world.broker.delete_gateway(&world.admin, gateway.id, None).await.unwrap();
        ended_with(&world, &gateway, id, EndCause::GatewayDeleted).await;
    }

    #[tokio::test]
    async fn a_disabled_gateway_orphans_its_grants_and_tells_nobody_and_they_come_back() {
        let world = World::start().await;
        let gateway = world.connected().await;
        let before = bearer(&world.access(&gateway).await);
        world.set_state(&gateway, GatewayState::Disabled).await;
        assert_eq!(world.grant(&gateway).await.unwrap().orphaned_since, Some(world.clock.now()));
        assert!(matches!(world.access(&gateway).await, Access::Unavailable { .. }));
        world.broker.tell_providers().await.unwrap();
        assert!(world.demo.authorization_server.log().revocations.is_empty());
        world.set_state(&gateway, GatewayState::Published).await;
        let now = world.broker.gateway(&world.alice, gateway.id).await.unwrap();
        assert_eq!(bearer(&world.access(&now).await), before);
    }

    #[tokio::test]
    async fn a_draft_again_orphans_those_who_manage_no_gateways_until_their_role_lets_them() {
        let world = World::start().await;
        let gateway = world.connected().await;
        world.set_state(&gateway, GatewayState::Draft).await;
        assert!(matches!(world.access(&gateway).await, Access::Unavailable { .. }));
        let set = async |role| {
            let edit = UserEdit { role: Some(role), ..UserEdit::default() };
            world.broker.update_user(&world.admin, world.alice.user.id, None, edit).await.unwrap();
        };
        set(Role::Administrator).await;
        let now = world.broker.gateway(&world.admin, gateway.id).await.unwrap();
        bearer(&world.access(&now).await);
        set(Role::User).await;
        assert!(matches!(world.access(&now).await, Access::Unavailable { .. }));
    }

    #[tokio::test]
    async fn a_moved_gateway_parks_its_grants_and_their_end_is_told_nowhere() {
        let world = World::start().await;
        let gateway = world.connected().await;
        let id = world.grant(&gateway).await.unwrap().id;
        let moved = OAuthInput {
            resource: Some("https://elsewhere.example/mcp".into()),
            client_secret: Edit::Set(ClientSecret::new("given again")),
            ..world.oauth_input()
        };
        let authorization = Some(AuthorizationInput::OAuth(Box::new(moved)));
        let edit = GatewayInput { authorization, ..GatewayInput::default() };
        world.broker.update_gateway(&world.admin, gateway.id, None, edit).await.unwrap();
        let ended = world.broker.revoke(&world.admin, id, None, ProviderEnd::ThereToo).await.unwrap();
        assert_eq!(ended.receipt, Receipt::NothingToTell);
        world.broker.tell_providers().await.unwrap();
        assert!(world.demo.authorization_server.log().revocations.is_empty());
    }
}

#[tokio::test]
async fn whoever_revokes_wakes_the_telling() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.revoke(&gateway, UNLESS_WIDE).await;
    tokio::time::timeout(Duration::from_secs(10), world.broker.grants_have_ended()).await.unwrap();
}
