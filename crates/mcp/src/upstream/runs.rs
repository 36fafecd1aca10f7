//! What runs under each user's grant at a gateway, so that it is cut when the grant ends: calls that wait for
//! their answer, and streams that are still open, of clients of either era.
//!
//! A call is noted before the broker is asked for its credential. So whatever was handed a credential that has
//! ended meanwhile is among those that are cut, and nothing of it is delivered.

use super::answer::{CallError, UpstreamAnswer};
use doorward_domain::{Gateway, GatewayId, UserId};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

type Key = (UserId, GatewayId);

/// Everything that runs under somebody's grant in this process.
#[derive(Clone, Default)]
pub(super) struct Runs(Arc<Mutex<HashMap<Key, Running>>>);

/// What runs under one grant.
#[derive(Default)]
struct Running {
    cut: CancellationToken,
    count: usize,
    /// The calls of tools among it, each with an end of its own.
    tools: HashMap<u64, (String, CancellationToken)>,
    next_tool: u64,
}

/// One of the things that run; forgotten when dropped. What goes on after a pause (a call that waits for its
/// client's answers) keeps it, so that it is cut in the pause as well.
pub(crate) struct Run {
    runs: Runs,
    key: Key,
    /// The end of all that runs under the grant.
    all: CancellationToken,
    /// Its own end.
    cut: CancellationToken,
    /// Its number among the calls of tools.
    tool: Option<u64>,
}

impl Runs {
    /// Notes that something begins to run.
    pub(super) fn begin(&self, user: UserId, gateway: GatewayId) -> Run {
        self.begin_call(user, gateway, None)
    }

    /// The same for the call of a tool, which is cut as well when the tool is no longer for its caller.
    pub(super) fn begin_call(&self, user: UserId, gateway: GatewayId, tool: Option<&str>) -> Run {
        let key = (user, gateway);
        let mut runs = self.lock();
        let running = runs.entry(key).or_default();
        running.count += 1;
        let (all, mut cut, mut number) = (running.cut.clone(), running.cut.clone(), None);
        if let Some(tool) = tool {
            cut = all.child_token();
            running.next_tool += 1;
            number = Some(running.next_tool);
            running.tools.insert(running.next_tool, (tool.to_owned(), cut.clone()));
        }
        Run { runs: self.clone(), key, all, cut, tool: number }
    }

    /// Cuts a user's calls of tools that they may not use any more.
    pub(super) fn cut_tools(&self, user: UserId, gateway: GatewayId, may: impl Fn(&str) -> bool) {
        let runs = self.lock();
        let tools = runs.get(&(user, gateway)).into_iter().flat_map(|running| running.tools.values());
        let ended: Vec<_> = tools.filter(|(tool, _)| !may(tool)).map(|(_, cut)| cut.clone()).collect();
        drop(runs);
        ended.iter().for_each(CancellationToken::cancel);
    }

    /// Cuts whatever runs under a grant that has ended. What begins from now on is another matter.
    pub(super) fn cut(&self, user: UserId, gateway: GatewayId) {
        let running = self.lock().remove(&(user, gateway));
        if let Some(running) = running {
            running.cut.cancel();
        }
    }

    /// The same for everybody's, where the gateway's own grant has ended.
    pub(super) fn cut_all(&self, gateway: GatewayId) {
        let running: Vec<Running> =
            self.lock().extract_if(|(_, at), _| *at == gateway).map(|(_, run)| run).collect();
        for running in running {
            running.cut.cancel();
        }
    }

    /// Who runs something at a gateway, of those whom a condition picks.
    pub(super) fn of(&self, picked: impl Fn(UserId, GatewayId) -> bool) -> Vec<(UserId, GatewayId)> {
        self.lock().keys().filter(|(user, gateway)| picked(*user, *gateway)).copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// What `work` gives, or an error as soon as the grant ends. Work that is cut is dropped, which cancels it
    /// upstream as well.
    pub(crate) async fn until_cut<T>(
        &self,
        gateway: &Gateway,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let done = tokio::select! {
            biased;
            () = self.cut.cancelled() => return Err(ended(gateway)),
            done = work => done?,
        };
        if self.cut.is_cancelled() { Err(ended(gateway)) } else { Ok(done) }
    }

    /// Waits for the end of the grant.
    pub(super) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// The answer, whose stream ends with an error as soon as the grant ends.
    pub(super) fn over(self: Arc<Self>, gateway: &Arc<Gateway>, answer: UpstreamAnswer) -> UpstreamAnswer {
        match answer {
            UpstreamAnswer::Message(message) => UpstreamAnswer::Message(message),
            UpstreamAnswer::Stream(events) => {
                let open = Some((self, Arc::clone(gateway), events));
                UpstreamAnswer::Stream(stream::unfold(open, next).boxed())
            }
            UpstreamAnswer::Passing(pieces) => {
                let open = Some((self, Arc::clone(gateway), pieces));
                UpstreamAnswer::Passing(stream::unfold(open, next).boxed())
            }
        }
    }
}

type Open<T> = (Arc<Run>, Arc<Gateway>, BoxStream<'static, Result<T, CallError>>);

async fn next<T>(open: Option<Open<T>>) -> Option<(Result<T, CallError>, Option<Open<T>>)> {
    let (run, gateway, mut events) = open?;
    tokio::select! {
        biased;
        () = run.cut.cancelled() => Some((Err(ended(&gateway)), None)),
        event = events.next() => Some((event?, Some((run, gateway, events)))),
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // One that was cut is no longer on the list; whoever stands there now began afterwards.
        if self.all.is_cancelled() {
            return;
        }
        let mut runs = self.runs.lock();
        if let Some(running) = runs.get_mut(&self.key) {
            running.count -= 1;
            if let Some(tool) = self.tool {
                running.tools.remove(&tool);
            }
            if running.count == 0 {
                runs.remove(&self.key);
            }
        }
    }
}

fn ended(gateway: &Gateway) -> CallError {
    CallError::Ended { gateway: gateway.name.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::{Entropy, Timestamp};

    #[test]
    fn a_tool_that_is_taken_away_cuts_its_calls_and_no_others() {
        let runs = Runs::default();
        let (user, gateway) = (Entropy.id(Timestamp::from_millis(0)), Entropy.id(Timestamp::from_millis(0)));
        let (a, b) = (runs.begin_call(user, gateway, Some("a")), runs.begin_call(user, gateway, Some("b")));
        let list = runs.begin(user, gateway);
        runs.cut_tools(user, gateway, |tool| tool != "a");
        assert!(a.cut.is_cancelled() && !b.cut.is_cancelled() && !list.cut.is_cancelled());
        drop(a);
        assert_eq!(runs.lock().get(&(user, gateway)).map(|all| (all.count, all.tools.len())), Some((2, 1)));
        runs.cut(user, gateway);
        assert!(b.cut.is_cancelled() && list.cut.is_cancelled());
        drop((b, list));
        assert!(runs.lock().is_empty());
    }

    #[test]
    fn what_has_run_is_forgotten_and_what_began_after_a_cut_is_not_cut() {
        let runs = Runs::default();
        let now = Timestamp::from_millis(0);
        let (user, gateway) = (Entropy.id(now), Entropy.id(now));
        let (first, second) = (runs.begin(user, gateway), runs.begin(user, gateway));
        let other = runs.begin(Entropy.id(now), gateway);
        drop(second);
        assert_eq!(runs.lock().len(), 2);
        assert_eq!((runs.of(|of, _| of == user).len(), runs.of(|_, at| at == gateway).len()), (1, 2));
        runs.cut(user, gateway);
        assert!(first.cut.is_cancelled() && !other.cut.is_cancelled());
        let later = runs.begin(user, gateway);
        drop(first);
        assert!(!later.cut.is_cancelled());
        assert_eq!(runs.lock().get(&(user, gateway)).map(|running| running.count), Some(1));
        drop((later, other));
        assert!(runs.lock().is_empty());
    }
}
