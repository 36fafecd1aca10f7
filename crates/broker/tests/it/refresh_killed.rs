//! `kill -9` over the whole path of a refresh. A child process with a real broker refreshes what is due, and is
//! killed: at any moment, while the provider holds the request, and while it holds the answer. Whatever the
//! moment was, each grant is usable afterwards or `uncertain` with a reason, and the provider never sees a
//! spent refresh token again.
//!
//! There is no hook in the product for this: the child is this test binary, started anew, and it learns from
//! its stdin where the database is.

use crate::world::{World, broker_over};
use doorward_demo::TokenFault;
use doorward_domain::{Clock, Gateway, Grant, GrantState, Timestamp};
use doorward_storage::Storage;
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

/// How often a child is killed.
const KILLS: usize = 210;
/// How many grants are due in each of its lives.
const GRANTS: usize = 6;
/// As the demo's tokens live.
const LIFETIME: u64 = 300;

/// When a child is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// So many microseconds after it began: anywhere on the path.
    After(u64),
    /// The provider has the request, and has not looked at it.
    RequestHeld,
    /// The provider has spent the refresh token, and holds the answer.
    AnswerHeld,
    /// Some time after an answer was lost on the way.
    AnswerLost(u64),
}

impl Moment {
    fn of(round: usize) -> Self {
        let anywhere = u64::from_be_bytes(doorward_domain::Entropy.bytes()) % 120_000;
        match round % 10 {
            0 => Self::RequestHeld,
            1 | 2 => Self::AnswerHeld,
            3 => Self::AnswerLost(anywhere),
            _ => Self::After(anywhere),
        }
    }
}

/// The child: it refreshes what is due until it is killed.
#[test]
#[ignore = "the child of the test below, which starts it"]
fn a_process_that_refreshes_until_it_is_killed() {
    let mut lines = std::io::stdin().lock().lines().map(Result::unwrap);
    let (database, ring) = (lines.next().unwrap(), lines.next().unwrap());
    let clock = Clock::mock(Timestamp::from_millis(lines.next().unwrap().parse().unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = Storage::open_sqlite(Path::new(&database), clock.clone()).await.unwrap();
        storage.recover_interrupted_refreshes(clock.now()).await.unwrap();
        let broker = broker_over(&storage, &clock, &ring);
        let mut stdout = std::io::stdout();
        stdout.write_all(b"\nready\n").unwrap();
        stdout.flush().unwrap();
        loop {
            broker.refresh_due().await.unwrap();
        }
    });
}

/// Starts a child, and waits until it begins.
async fn child(world: &World) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "refresh_killed::a_process_that_refreshes_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (database, ring) = (world.database(), world.ring.trim().replace('\n', ","));
    let told = format!("{}\n{ring}\n{}\n", database.display(), world.clock.now().millis());
    child.stdin.take().unwrap().write_all(told.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("the child begins") != "ready" {}
    child
}

/// Lets a child live until its moment has come, and kills it (SIGKILL).
async fn live_and_die(world: &World, moment: Moment) {
    let faults = world.demo.authorization_server.faults();
    let (release, refreshes) = (Arc::new(Notify::new()), world.refreshes());
    let asked = world.refresh_requests();
    match moment {
        Moment::After(_) => {}
        Moment::RequestHeld => faults.next_token_answer(TokenFault::RequestHeldUntil(Arc::clone(&release))),
        Moment::AnswerHeld => faults.next_token_answer(TokenFault::HeldUntil(Arc::clone(&release))),
        Moment::AnswerLost(_) => faults.next_token_answer(TokenFault::AnswerLost),
    }
    let mut child = child(world).await;
    match moment {
        Moment::After(micros) | Moment::AnswerLost(micros) => {
            // The one sleep of these tests: to strike anywhere is the point.
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
        Moment::RequestHeld => {
            while world.refresh_requests() == asked {
                tokio::task::yield_now().await;
            }
        }
        Moment::AnswerHeld => {
            while world.refreshes() == refreshes {
                tokio::task::yield_now().await;
            }
        }
    }
    child.kill().await.unwrap();
    release.notify_one();
}

/// Each grant as the next start leaves it: what became of it, in a word.
async fn judge(world: &World, gateway: &Gateway, round: usize, moment: Moment) -> Vec<(Grant, &'static str)> {
    world.storage.recover_interrupted_refreshes(world.clock.now()).await.unwrap();
    let grants = world.storage.grants_of_user(world.alice.user.id).await.unwrap();
    assert_eq!(grants.len(), GRANTS, "round {round}, {moment:?}");
    let now = world.clock.now();
    let judged = grants.into_iter().map(|grant| {
        assert_eq!(grant.gateway_id, gateway.id);
        assert_eq!(grant.redeeming_number, None, "round {round}, {moment:?}: {grant:?}");
        let became = match grant.state {
            GrantState::Active if grant.access_token_lives(now) => "refreshed",
            GrantState::Active => "untouched",
            GrantState::Uncertain => {
                assert!(grant.last_error.is_some(), "round {round}, {moment:?}: no reason");
                "uncertain"
            }
            GrantState::NeedsAuthorization(reason) => panic!("round {round}, {moment:?}: parked, {reason:?}"),
        };
        (grant, became)
    });
    judged.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m2_r8_two_hundred_kills_at_any_step_lose_no_grant_and_replay_no_token() {
    let world = World::in_memory(crate::world::provider).await;
    let gateway = world.gateway().await;
    for number in 0..GRANTS {
        world.one_more_grant(&gateway, &format!("account {number}")).await;
    }
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    for round in 0..KILLS {
        world.advance(LIFETIME + 1);
        let moment = Moment::of(round);
        live_and_die(&world, moment).await;
        for (grant, became) in judge(&world, &gateway, round, moment).await {
            *seen.entry(became).or_default() += 1;
            if became == "uncertain" {
                // Its user authorizes anew, so that the next round has it again.
                world.authorized_anew(&grant).await;
            }
        }
        let reuses = world.demo.authorization_server.log().refresh_token_reuses;
        assert_eq!(reuses, 0, "round {round}, {moment:?}: a spent token was sent again");
    }
    // What was left usable is: every grant can be refreshed once more.
    world.advance(LIFETIME + 1);
    world.broker.refresh_due().await.unwrap();
    for (_, became) in judge(&world, &gateway, KILLS, Moment::After(0)).await {
        assert_eq!(became, "refreshed");
    }
    assert_eq!(world.demo.authorization_server.log().refresh_token_reuses, 0);
    assert!(seen.values().all(|times| *times >= 20) && seen.len() == 3, "the kills met every step: {seen:?}");
}
