//! Runs of cleanup, the hold, and what other subjects leave behind.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::BegunAttempt;
use std::time::Duration;

fn run(trigger: CleanupTrigger, started_at: Timestamp) -> CleanupRun {
    CleanupRun {
        id: Entropy.id(started_at),
        trigger,
        actor: Actor::System,
        dry_run: false,
        state: CleanupState::Running,
        started_at,
        finished_at: None,
        counts: CleanupCounts::new(),
        held_count: 0,
        hold_reason: None,
        confirms: None,
        sample: vec![],
        slowest_batch_ms: 0,
        error: None,
    }
}

async fn a_run_is_read_as_it_was_written_and_the_last_one_is_found(stage: &Stage) {
    let storage = &stage.storage;
    assert_eq!(storage.last_scheduled_cleanup().await.unwrap(), None);
    let scheduled = run(CleanupTrigger::Scheduled, NOW);
    let dry = CleanupRun { dry_run: true, ..run(CleanupTrigger::Manual, later(60)) };
    let manual = CleanupRun { confirms: Some(scheduled.id), ..run(CleanupTrigger::CommandLine, later(120)) };
    for run in [&scheduled, &dry, &manual] {
        storage.insert_cleanup_run(run).await.unwrap();
        assert_eq!(storage.cleanup_run(run.id).await.unwrap().as_ref(), Some(run));
    }
    let finished = CleanupRun {
        state: CleanupState::Done,
        finished_at: Some(later(1)),
        counts: [(SweptKind::StaleGrants, 7), (SweptKind::SetupLinks, 0)].into(),
        held_count: 3,
        hold_reason: Some(HoldReason::TooMany),
        sample: vec![GrantNames { user_email: None, gateway_slug: "hub".into() }],
        slowest_batch_ms: 41,
        ..scheduled
    };
    storage.update_cleanup_run(&finished, false, Some(event("cleanup.held"))).await.unwrap();
    assert_eq!(stage.number("SELECT count(*) FROM audit_events WHERE action = 'cleanup.held'").await, 1);
    let done = CleanupRun { state: CleanupState::Done, finished_at: Some(later(61)), ..dry };
    storage.update_cleanup_run(&done, false, None).await.unwrap();
    assert_eq!(storage.last_finished_cleanup().await.unwrap(), Some(finished.clone()), "not the dry one");
    assert_eq!(storage.last_scheduled_cleanup().await.unwrap(), Some(finished));

    let first = storage.cleanup_runs(&PageRequest { limit: 2, cursor: None }).await.unwrap();
    assert_eq!(first.items.iter().map(|run| run.id).collect::<Vec<_>>(), [manual.id, done.id]);
    let next = PageRequest { limit: 2, cursor: first.next_cursor };
    assert_eq!(storage.cleanup_runs(&next).await.unwrap().items.len(), 1);

    assert_eq!(storage.fail_interrupted_cleanup_runs(later(200)).await.unwrap(), 1);
    let cut_off = storage.cleanup_run(manual.id).await.unwrap().unwrap();
    assert_eq!((cut_off.state, cut_off.finished_at), (CleanupState::Failed, Some(later(200))));
}

async fn a_hold_keeps_its_first_reason_until_a_run_was_told_to_end_it(stage: &Stage) {
    let storage = &stage.storage;
    assert_eq!(storage.cleanup_hold().await.unwrap(), None);
    storage.hold_cleanup(HoldReason::ClockJumped).await.unwrap();
    storage.forget_clock_jump().await.unwrap();
    assert_eq!(storage.cleanup_hold().await.unwrap(), None);
    storage.hold_cleanup(HoldReason::Restored).await.unwrap();
    storage.hold_cleanup(HoldReason::ClockJumped).await.unwrap();
    storage.forget_clock_jump().await.unwrap();
    assert_eq!(storage.cleanup_hold().await.unwrap(), Some(HoldReason::Restored));
    let told = run(CleanupTrigger::Manual, NOW);
    storage.insert_cleanup_run(&told).await.unwrap();
    storage.update_cleanup_run(&told, true, None).await.unwrap();
    assert_eq!(storage.cleanup_hold().await.unwrap(), None);
    assert_eq!(storage.cleanup_beat().await.unwrap(), None);
    storage.note_cleanup_beat(later(5)).await.unwrap();
    assert_eq!(storage.cleanup_beat().await.unwrap(), Some(later(5)));
}

async fn what_was_left_behind_is_counted_and_swept_a_few_rows_at_a_time(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    storage.insert_mcp_session(&mcp_session(&token)).await.unwrap();
    storage.insert_browser_session(&browser_session(ada.id), 1, event("login")).await.unwrap();
    let link = SetupLink {
        hash: hash(),
        user_id: None,
        removes_second_factor: false,
        created_at: NOW,
        expires_at: later(3_600),
    };
    storage.insert_setup_link(&link, None, None).await.unwrap();
    let request = authorization_request(ada.id, &hub);
    storage.insert_authorization_request(&request, event("grant.begin")).await.unwrap();
    storage.upsert_connect_request(&connect_request(ada.id, hub.id, "editor")).await.unwrap();
    let grant = stored_grant(storage, &ada, &hub).await;
    let end = doorward_storage::End::by(EndCause::Disconnected, &Actor::System);
    assert_eq!(storage.end_grants(&[grant.id], &end).await.unwrap(), 1);
    stage.by_hand("DELETE FROM provider_revocations").await;
    let finished = CleanupRun { state: CleanupState::Done, ..run(CleanupTrigger::Scheduled, NOW) };
    storage.insert_cleanup_run(&finished).await.unwrap();
    storage.insert_cleanup_run(&run(CleanupTrigger::Scheduled, NOW)).await.unwrap();
    stage
        .by_hand(&format!(
            "INSERT INTO client_registrations (id, gateway_id, issuer, kind, client_id, fingerprint, \
             token_endpoint_auth) VALUES ('{}', '{}', 'https://old.example.com', 'dynamic', 'x', 'x', 'none')",
            Entropy.id::<ClientRegistrationId>(NOW),
            hub.id
        ))
        .await;
    let (job, at) = (Entropy.id::<BulkJobId>(NOW), NOW.millis());
    stage
        .by_hand(&format!(
            "INSERT INTO bulk_jobs (id, kind, actor_kind, reason, provider, created_at, finished_at) \
             VALUES ('{job}', 'revoke', 'system', 'x', 'here_only', {at}, {at}); \
             INSERT INTO bulk_job_rows (job_id, number, grant_id, gateway_slug, result) \
             VALUES ('{job}', 1, '{}', 'hub', 'done')",
            grant.id
        ))
        .await;
    let attempt = BegunAttempt {
        id: Entropy.id(NOW),
        reference: "a1b2".into(),
        user_id: ada.id,
        gateway_id: Some(hub.id),
    };
    storage.open_attempt(&attempt, &AttemptStep::new(NOW, StepKind::LinkOpened)).await.unwrap();
    stage.clock.advance(Duration::from_secs(400 * 86_400));
    for kind in SweptKind::ALL[3..].iter().filter(|kind| **kind != SweptKind::AuditEvents) {
        if *kind != SweptKind::ClientRegistrations {
            assert_eq!(storage.count_leftovers(*kind, NOW).await.unwrap(), 0, "{kind:?} is young");
            assert_eq!(storage.sweep_leftovers(*kind, NOW, 10).await.unwrap(), 0, "{kind:?} is young");
        }
        let before = later(200 * 86_400);
        // Ending the grant took the round trip along.
        let expected = u64::from(*kind != SweptKind::AuthorizationRequests);
        assert_eq!(storage.count_leftovers(*kind, before).await.unwrap(), expected, "{kind:?}");
        assert_eq!(storage.sweep_leftovers(*kind, before, 10).await.unwrap(), expected, "{kind:?}");
        assert_eq!(storage.count_leftovers(*kind, before).await.unwrap(), 0, "{kind:?}");
    }
    assert!(storage.gateway(hub.id).await.unwrap().is_some(), "its registration in use is there");
    assert_eq!(stage.number("SELECT count(*) FROM client_registrations").await, 1);
    assert_eq!(stage.number("SELECT count(*) FROM cleanup_runs WHERE state = 'running'").await, 1);
}

async fn ended_links_and_round_trips_go_a_few_at_a_time(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    for client in ["one", "two", "three"] {
        storage.upsert_connect_request(&connect_request(ada.id, hub.id, client)).await.unwrap();
        let request = authorization_request(ada.id, &hub);
        storage.insert_authorization_request(&request, event("grant.begin")).await.unwrap();
    }
    for kind in [SweptKind::ConnectRequests, SweptKind::AuthorizationRequests] {
        assert_eq!(storage.count_leftovers(kind, later(3_600)).await.unwrap(), 3);
        assert_eq!(storage.sweep_leftovers(kind, later(3_600), 2).await.unwrap(), 2);
        assert_eq!(storage.sweep_leftovers(kind, later(3_600), 2).await.unwrap(), 1);
    }
}

on_both!(
    a_run_is_read_as_it_was_written_and_the_last_one_is_found,
    a_hold_keeps_its_first_reason_until_a_run_was_told_to_end_it,
    what_was_left_behind_is_counted_and_swept_a_few_rows_at_a_time,
    ended_links_and_round_trips_go_a_few_at_a_time,
);
