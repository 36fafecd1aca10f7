//! How grants end: what is recorded, what the provider is to be told, and what goes with them.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{End, Inserted, Storage, Updated};

/// A gateway whose authorization server is told as `facts` say.
async fn gateway_with(storage: &Storage, slug: &str, edit: impl FnOnce(&mut OAuthSettings)) -> Gateway {
    let mut gateway = gateway(slug);
    let GatewayAuthorization::OAuth(settings) = &mut gateway.authorization else { unreachable!() };
    edit(settings);
    let url = gateway.url.clone();
    let GatewayAuthorization::OAuth(settings) = &mut gateway.authorization else { unreachable!() };
    settings.registration.fingerprint = settings.fingerprint(&url);
    assert_eq!(storage.insert_gateway(&gateway, event("gateway.create")).await.unwrap(), Inserted::Yes);
    gateway
}

async fn receipts(stage: &Stage, receipt: &str, detail: &str) -> i64 {
    stage
        .number(&format!(
            "SELECT count(*) FROM ended_grants WHERE receipt = '{receipt}' \
             AND COALESCE(receipt_detail, '') LIKE '{detail}%'"
        ))
        .await
}

async fn what_the_provider_is_told_follows_from_its_facts_and_the_choice(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let wide = |settings: &mut OAuthSettings| {
        settings.facts.revocation_reach = RevocationReach::AllOfAppForUser;
    };
    let (revoked, swept) = (EndCause::Revoked, EndCause::Swept);
    let (there, here) = (ProviderEnd::ThereToo, ProviderEnd::HereOnly);
    type Case = (fn(&mut OAuthSettings), EndCause, ProviderEnd, &'static str, &'static str);
    let cases: [Case; 10] = [
        (|_| (), revoked, ProviderEnd::UnlessWide, "pending", ""),
        (|_| (), swept, here, "pending", ""),
        (|_| (), revoked, here, "not_told", "it was chosen"),
        (wide, revoked, ProviderEnd::UnlessWide, "not_told", "telling the provider would"),
        (wide, revoked, there, "pending", ""),
        (wide, swept, there, "not_told", "telling the provider would"),
        (|s| s.revocation_url = None, revoked, there, "no_such_call", ""),
        (|s| s.facts.revocation_method = RevocationMethod::None, revoked, there, "no_such_call", ""),
        (
            |s| s.revocation_url = Some(url("https://evil.example/x")),
            revoked,
            there,
            "not_told",
            "its revocation",
        ),
        (|s| s.facts.revocation_method = RevocationMethod::BearerCall, revoked, there, "pending", ""),
    ];
    for (number, (edit, cause, provider, receipt, detail)) in cases.into_iter().enumerate() {
        let hub = gateway_with(storage, &format!("hub-{number}"), edit).await;
        let grant = stored_grant(storage, &ada, &hub).await;
        let before = receipts(stage, receipt, detail).await;
        let end = End { provider, ..End::by(cause, &Actor::System) };
        assert_eq!(storage.end_grants(&[grant.id], &end).await.unwrap(), 1);
        assert_eq!(receipts(stage, receipt, detail).await, before + 1, "case {number}: {receipt} {detail}");
    }
    let waiting = "SELECT count(*) FROM provider_revocations r JOIN ended_grants e ON e.grant_id = r.grant_id \
                   WHERE e.receipt = 'pending'";
    assert_eq!(stage.number(waiting).await, 4);
    assert_eq!(stage.number("SELECT count(*) FROM provider_revocations").await, 4);
}

async fn only_what_still_lives_there_is_told_and_only_where_it_was_given(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let end_one = async |gateway: &Gateway, edit: fn(&mut Grant)| {
        let mut grant = grant(GrantOwner::User(ada.id), gateway);
        edit(&mut grant);
        let _ = storage.store_authorized_grant(&grant, event("grant.authorize")).await.unwrap();
        storage.end_grants(&[grant.id], &revoked()).await.unwrap();
        grant.id
    };
    let queued = async |id: GrantId, tokens: &str| {
        let sql = format!("SELECT count(*) FROM provider_revocations WHERE grant_id = '{id}' AND {tokens}");
        stage.number(&sql).await
    };
    let both = "access_token IS NOT NULL AND refresh_token IS NOT NULL";
    let refresh_only = "access_token IS NULL AND refresh_token IS NOT NULL";
    let access_only = "access_token IS NOT NULL AND refresh_token IS NULL";

    let hub = stored_gateway(storage, "hub").await;
    assert_eq!(queued(end_one(&hub, |_| ()).await, both).await, 1);
    assert_eq!(
        queued(end_one(&hub, |grant| grant.tokens.expires_at = Some(NOW)).await, refresh_only).await,
        1
    );
    assert_eq!(queued(end_one(&hub, |grant| grant.tokens.refresh_token = None).await, access_only).await, 1);
    let dead = |grant: &mut Grant| {
        grant.tokens.refresh_token = None;
        grant.tokens.expires_at = Some(NOW);
    };
    end_one(&hub, dead).await;
    assert_eq!(receipts(stage, "nothing_to_tell", "its tokens had ended").await, 1);
    end_one(&hub, |grant| grant.fingerprint = Fingerprint("elsewhere".into())).await;
    assert_eq!(receipts(stage, "nothing_to_tell", "the gateway points elsewhere").await, 1);

    let by_access = |settings: &mut OAuthSettings| {
        settings.facts.revocation_method = RevocationMethod::GithubDelete;
    };
    let github = gateway_with(storage, "github", by_access).await;
    assert_eq!(queued(end_one(&github, |_| ()).await, access_only).await, 1);
    end_one(&github, |grant| grant.tokens.expires_at = Some(NOW)).await;
    assert_eq!(receipts(stage, "nothing_to_tell", "its tokens had ended").await, 2);
}

async fn the_outbox_keeps_the_very_bytes_and_all_that_the_call_needs(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let deleted = storage.delete_gateway(hub.id, None, event("gateway.delete")).await.unwrap();
    assert_eq!(deleted, Updated::Yes);
    let registration = &hub.oauth().unwrap().registration;
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let bytes = |column: &str, text: &str| match &stage.place {
        crate::stage::Place::Sqlite(_) => format!("hex({column}) = '{}'", hex(text).to_uppercase()),
        crate::stage::Place::Postgres(_) => format!("encode({column}, 'hex') = '{}'", hex(text)),
    };
    let sql = format!(
        "SELECT count(*) FROM provider_revocations WHERE grant_id = '{}' AND gateway_slug = 'hub' AND {} AND {} \
         AND {} AND refresh_token_key_id = 'k1' AND client_id = 'doorward' AND client_registration_id = '{}' \
         AND token_endpoint_auth = 'basic' AND revocation_url = 'https://as.example.com/revoke' \
         AND method = 'rfc7009' AND attempts = 0",
        grant.id,
        bytes("access_token", "access"),
        bytes("refresh_token", "refresh"),
        bytes("client_secret", "client secret"),
        registration.id,
    );
    assert_eq!(stage.number(&sql).await, 1);
}

async fn a_batch_of_many_users_and_gateways_ends_whole(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let quiet = gateway_with(storage, "quiet", |settings| settings.revocation_url = None).await;
    let (mut ids, mut requests) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let user = stored_user(storage, &format!("user{number}@example.com")).await;
        for gateway in [&hub, &quiet] {
            ids.push(stored_grant(storage, &user, gateway).await.id);
            let request = authorization_request(user.id, gateway);
            storage.insert_authorization_request(&request, event("authorization.begin")).await.unwrap();
            requests.push(request);
        }
    }
    let admin = Actor::User(Entropy.id(NOW));
    let job = Entropy.id(NOW);
    let end = End {
        job: Some(job),
        reason: Some("the laptop was stolen"),
        address: Some("192.0.2.7"),
        ..End::by(EndCause::Revoked, &admin)
    };
    // The last of them stays: it was not asked for.
    let (asked, spared) = ids.split_at(5);
    let twice = [asked, asked].concat();
    assert_eq!(storage.end_grants(&twice, &end).await.unwrap(), 5);
    assert!(storage.grant(spared[0]).await.unwrap().is_some());
    for (request, ended) in requests.iter().zip([true, true, true, true, true, false]) {
        let found = storage.authorization_request_by_state(request.state_hash).await.unwrap();
        assert_eq!(found.is_none(), ended, "r23: a consent was left open");
    }
    assert_eq!(receipts(stage, "pending", "").await, 3);
    assert_eq!(receipts(stage, "no_such_call", "").await, 2);
    let whole = format!(
        "SELECT count(*) FROM ended_grants WHERE job_id = '{job}' AND reason = 'the laptop was stolen' \
         AND provider = 'https://as.example.com' AND scopes_granted = '[\"read\"]' AND account_subject = 'sub-1' \
         AND authorized_at = 1800000000000 AND access_token_expires_at = 1800003600000 \
         AND user_email_key = user_email AND user_apps_url = 'https://as.example.com/apps'"
    );
    assert_eq!(stage.number(&whole).await, 5);
    let events = "SELECT count(*) FROM audit_events a JOIN ended_grants e ON e.grant_id = a.subject \
                  AND e.user_id = a.user_id WHERE a.action = 'grant.revoke' AND a.address = '192.0.2.7' \
                  AND a.detail LIKE '%\"cause\":\"revoked\"%' AND a.detail LIKE '%\"reason\":\"the laptop%'";
    assert_eq!(stage.number(events).await, 5);
    assert_eq!(stage.number("SELECT count(*) FROM changes WHERE kind = 'grant_ended'").await, 5);
}

async fn a_gateway_with_more_grants_than_a_batch_is_emptied_in_one_transaction(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    stored_grant(storage, &ada, &hub).await;
    let copies = match &stage.place {
        crate::stage::Place::Sqlite(_) => {
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1100)"
        }
        crate::stage::Place::Postgres(_) => "WITH numbers AS (SELECT generate_series(1, 1100) AS n)",
    };
    let others = "owner_kind, user_id, gateway_id, state, fingerprint, provider, scopes_requested, scopes_granted, \
                  access_token, access_token_key_id, expires_at, expires_soon_at, ends_at, dies_at, dies_soon_at, \
                  health, access_token_status, status_changes_at, refresh_number, refresh_due_at, created_at, \
                  authorized_at, issued_at, last_used_at, failures, exchanged, version";
    let id = "'00000000-0000-7000-8000-' || substr('000000000000' || n, -12)";
    let id = match &stage.place {
        crate::stage::Place::Sqlite(_) => id.to_owned(),
        crate::stage::Place::Postgres(_) => "'00000000-0000-7000-8000-' || lpad(n::text, 12, '0')".to_owned(),
    };
    stage
        .by_hand(&format!(
            "INSERT INTO grants (id, label, {others}) {copies} SELECT {id}, 'account ' || n, {others} \
             FROM grants, numbers"
        ))
        .await;
    assert_eq!(stage.number("SELECT count(*) FROM grants").await, 1_101);
    let deleted = storage.delete_gateway(hub.id, None, event("gateway.delete")).await.unwrap();
    assert_eq!(deleted, Updated::Yes);
    assert_eq!(receipts(stage, "pending", "").await, 1_101);
    assert_eq!(stage.number("SELECT count(*) FROM provider_revocations").await, 1_101);
    assert_eq!(stage.number("SELECT count(*) FROM audit_events WHERE action = 'grant.end'").await, 1_101);
}

on_both!(
    what_the_provider_is_told_follows_from_its_facts_and_the_choice,
    only_what_still_lives_there_is_told_and_only_where_it_was_given,
    the_outbox_keeps_the_very_bytes_and_all_that_the_call_needs,
    a_batch_of_many_users_and_gateways_ends_whole,
    a_gateway_with_more_grants_than_a_batch_is_emptied_in_one_transaction,
);
