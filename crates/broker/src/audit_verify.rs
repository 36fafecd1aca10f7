//! Is the audit trail what was written? Walks the chain and compares it with whatever is kept apart from it:
//! the counter, the anchor of the retention, and checkpoints from a log or a file.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{AuditAnchor, AuditCheckpoint, AuditHash, AuditLink, Hex, Permission};
use std::collections::BTreeMap;

/// Events that are read at once: memory does not grow with the trail.
const READ_AT_ONCE: u32 = 1_000;

/// What is compared beside the chain itself.
#[derive(Debug, Clone, Default)]
pub struct AuditEvidence {
    pub checkpoints: Vec<AuditCheckpoint>,
    /// A public key that is trusted although the ring does not have it (any more).
    pub pinned: Option<Hex<32>>,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Events that hold together.
    pub events: u64,
    /// Where the chain begins: after what retention has removed.
    pub from: AuditLink,
    /// The last event that holds.
    pub last: AuditLink,
    /// Checkpoints that say the same as the trail.
    pub checkpoints: u64,
    /// In the order of the events; empty when all is well.
    pub problems: Vec<AuditProblem>,
}

/// Something that is wrong with the trail, or with what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditProblem {
    /// The first event that is concerned.
    pub seq: i64,
    /// A sentence that names it.
    pub what: String,
}

impl Broker {
    /// Verifies the whole trail, and records that it was done.
    pub async fn verify_audit(
        &self,
        caller: &Caller,
        evidence: &AuditEvidence,
    ) -> Result<AuditVerdict, BrokerError> {
        caller.require(Permission::ReadAudit)?;
        let mut verdict = loop {
            let anchor = self.storage().audit_anchor().await?;
            let verdict = self.compare(anchor.as_ref(), evidence).await?;
            // Retention may have cut in between, which looks like missing events.
            if self.storage().audit_anchor().await? == anchor {
                break verdict;
            }
        };
        verdict.problems.sort_by_key(|problem| problem.seq);
        let event = caller
            .event("audit.verify")
            .detail("events", verdict.events)
            .detail("through", verdict.last.seq)
            .detail("checkpoints", verdict.checkpoints)
            .detail("problems", verdict.problems.len());
        self.record(event).await?;
        Ok(verdict)
    }

    async fn compare(
        &self,
        anchor: Option<&AuditAnchor>,
        evidence: &AuditEvidence,
    ) -> Result<AuditVerdict, BrokerError> {
        let from = anchor.map_or(AuditLink::BEGINNING, AuditAnchor::link);
        let mut verdict = AuditVerdict { events: 0, from, last: from, checkpoints: 0, problems: Vec::new() };
        if let Some((anchor, what)) = anchor.and_then(|anchor| Some((anchor, self.anchor_problem(anchor)?))) {
            verdict.problem(anchor.seq, what);
        }
        let mut checkpoints = self.trusted(evidence, &mut verdict);
        verdict.meet(from, &mut checkpoints);
        let head = self.storage().audit_head().await?;
        let whole = self.walk(&mut verdict, head, &mut checkpoints).await?;
        if whole {
            let now_at = self.storage().audit_head().await?;
            verdict.end(head, now_at, &checkpoints);
        }
        Ok(verdict)
    }

    /// Walks to the end, or to the first event that does not hold; whether it came to the end.
    async fn walk(
        &self,
        verdict: &mut AuditVerdict,
        head: Option<(i64, AuditHash)>,
        checkpoints: &mut Checkpoints,
    ) -> Result<bool, BrokerError> {
        loop {
            let walk = self.storage().walk_audit(verdict.last, READ_AT_ONCE).await?;
            for link in &walk.links {
                verdict.meet(*link, checkpoints);
                if head.is_some_and(|(seq, hash)| seq == link.seq && hash != link.hash) {
                    verdict.problem(
                        link.seq,
                        format!("event {} is not the one that the counter knows", link.seq),
                    );
                }
            }
            verdict.events += walk.links.len() as u64;
            verdict.last = walk.links.last().copied().unwrap_or(verdict.last);
            if let Some(broken) = walk.broken {
                verdict.problem(broken.seq(), broken.to_string());
                return Ok(false);
            }
            if walk.links.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Those whose signatures hold, by the event they vouch for.
    fn trusted(&self, evidence: &AuditEvidence, verdict: &mut AuditVerdict) -> Checkpoints {
        let mut trusted = Checkpoints::new();
        for checkpoint in &evidence.checkpoints {
            match self.checkpoint_problem(checkpoint, evidence.pinned.as_ref()) {
                Some(what) => verdict.problem(checkpoint.seq, what),
                None => trusted.entry(checkpoint.seq).or_default().push(checkpoint.clone()),
            }
        }
        trusted
    }
}

/// Checkpoints that are still to be met, by event.
type Checkpoints = BTreeMap<i64, Vec<AuditCheckpoint>>;

impl AuditVerdict {
    fn problem(&mut self, seq: i64, what: String) {
        self.problems.push(AuditProblem { seq, what });
    }

    /// Compares a link of the chain with the checkpoints of that event, and forgets what retention has removed.
    fn meet(&mut self, link: AuditLink, checkpoints: &mut Checkpoints) {
        while let Some(next) = checkpoints.first_entry().filter(|next| *next.key() <= link.seq) {
            for checkpoint in next.remove() {
                if checkpoint.seq < link.seq {
                    continue;
                }
                if checkpoint.hash == link.hash {
                    self.checkpoints += 1;
                } else {
                    let AuditCheckpoint { seq, at, .. } = checkpoint;
                    let what = format!(
                        "event {seq} is not what the checkpoint of {at} says: the chain was written anew"
                    );
                    self.problem(seq, what);
                }
            }
        }
    }

    /// What the counter and the checkpoints know of a tail that is not there.
    fn end(
        &mut self,
        head_before: Option<(i64, AuditHash)>,
        head_after: Option<(i64, AuditHash)>,
        checkpoints: &Checkpoints,
    ) {
        let last = self.last.seq;
        let counted = |head: Option<(i64, AuditHash)>| head.map_or(0, |(seq, _)| seq);
        if counted(head_before) > last {
            let through = counted(head_before);
            self.problem(
                last + 1,
                format!("events {} to {through} are missing at the end: the counter knows them", last + 1),
            );
        }
        if counted(head_after) < last {
            let counted = counted(head_after);
            self.problem(counted + 1, format!("the counter was set back to {counted}, behind event {last}"));
        }
        if let Some(newest) = checkpoints.keys().next_back() {
            self.problem(
                last + 1,
                format!("events {} to {newest} are missing at the end: a checkpoint knows them", last + 1),
            );
        }
    }
}
