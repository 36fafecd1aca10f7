//! Keys: which there are and what still needs them, a new one that seals from now on, an old one that goes.
//!
//! A new key is on the disk, and known to every process, before anything is sealed with it; an old one goes
//! when no row needs it. What lies between is `reseal`.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{Actor, KeyId, NewAuditEvent, Permission, Timestamp};
use doorward_storage::{KeyCheck, SealedCount, SealingSwitch, sealing_key};
use doorward_vault::key_ring::next_name;
use doorward_vault::{KeyRing, RingFile, RingFileError};
use std::collections::BTreeSet;
use std::time::Duration;

/// For so long after another key took over, what was sealed with the old one may still be on its way to the
/// database: longer than anything waits for it.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// The name under which rows are sealed anew, by one process of the cluster.
pub(crate) const RESEAL_LEASE: &str = "reseal";

/// One turn at a time, for what changes the ring and for sealing rows anew.
#[derive(Default)]
pub(crate) struct KeyTurns {
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) resealing: tokio::sync::Mutex<doorward_storage::LeaseWatch>,
}

/// A key, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    pub id: KeyId,
    /// It seals; every other one only opens.
    pub seals: bool,
    /// When it began to seal; none for one that never has.
    pub sealing_since: Option<Timestamp>,
    /// How many sealed values need it at this moment.
    pub rows: u64,
    /// False: this process does not have it.
    pub in_ring: bool,
}

/// Every key that this process or the database knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReport {
    pub keys: Vec<KeyStatus>,
    /// Whether rows are being sealed anew, here or in another process.
    pub resealing: bool,
}

/// What became of the wish for a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// `new` seals now.
    Rotated { new: KeyId, old: KeyId },
    /// The ring comes from a setting, which Doorward does not write: `next` is a name for the new key.
    ByHand { next: KeyId, old: KeyId },
}

/// What became of the wish to retire a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retirement {
    /// It is gone, from memory and from the generated ring.
    Retired,
    /// Nothing needs it: it can be taken out of the setting of every process.
    ByHand,
}

impl Broker {
    /// Which keys there are, which one seals, and how many values need each.
    pub async fn keys(&self, caller: &Caller) -> Result<KeyReport, BrokerError> {
        caller.require(Permission::ReadKeys)?;
        let checks = self.storage().key_checks().await?;
        let counts = self.storage().sealed_counts().await?;
        let ours = self.parts.vault.key_ids();
        let sealing = self.parts.vault.sealing_key();
        let mut ids = ours.clone();
        let others: BTreeSet<&KeyId> = counts.iter().map(|count| &count.key).collect();
        ids.extend(others.into_iter().filter(|id| !ours.contains(id)).cloned());
        let keys = ids.into_iter().map(|id| KeyStatus {
            seals: id == sealing,
            sealing_since: checks.iter().find(|check| check.id == id).and_then(|check| check.sealing_since),
            rows: rows_of(&id, &counts),
            in_ring: ours.contains(&id),
            id,
        });
        let resealing = self.storage().lease_is_held(RESEAL_LEASE).await?;
        Ok(KeyReport { keys: keys.collect(), resealing })
    }

    /// Makes a key that seals from now on. What is sealed with others is left to [`Broker::reseal`].
    pub async fn rotate_keys(&self, caller: &Caller) -> Result<Rotation, BrokerError> {
        caller.require(Permission::ManageKeys)?;
        let _turn = self.key_turns.changing.lock().await;
        let old = self.parts.vault.sealing_key();
        let checks = self.storage().key_checks().await?;
        let ours = self.parts.vault.key_ids();
        let next = KeyId(next_name(ours.iter().chain(checks.iter().map(|check| &check.id))));
        let Some(file) = &self.parts.ring_file else { return Ok(Rotation::ByHand { next, old }) };
        let ring = self.ring_as_it_is(file)?.with_new(self.parts.entropy, &next.0);
        let ring = written(file.clone(), ring).await?;
        self.parts.vault.reload(ring);
        self.storage().insert_key_check(&next, &self.parts.vault.key_check(&next)).await?;
        let event = caller.event("keys.rotate").subject(&next).detail("replaces", &old);
        self.switch_to(&next, Some(event)).await?;
        Ok(Rotation::Rotated { new: next, old })
    }

    /// Takes a key out of use that no row needs any more. It is refused while one does.
    pub async fn retire_key(&self, caller: &Caller, id: &KeyId) -> Result<Retirement, BrokerError> {
        caller.require(Permission::ManageKeys)?;
        self.require_fresh_login(caller)?;
        let _turn = self.key_turns.changing.lock().await;
        let checks = self.storage().key_checks().await?;
        let ours = self.parts.vault.key_ids();
        if !ours.contains(id) && !checks.iter().any(|check| check.id == *id) {
            return Err(BrokerError::NotFound { what: "key" });
        }
        self.may_be_retired(id, &checks)?;
        let counts = self.storage().sealed_counts().await?;
        if rows_of(id, &counts) > 0 {
            return Err(BrokerError::conflict("key", still_needed(id, &counts)));
        }
        self.sign_anchor_anew().await?;
        let event = caller.event("keys.retire").subject(id);
        let Some(file) = &self.parts.ring_file else {
            self.storage().forget_key(id, event).await?;
            return Ok(Retirement::ByHand);
        };
        if let Some(rest) = self.ring_as_it_is(file)?.without(id) {
            let rest = written(file.clone(), rest).await?;
            self.parts.vault.reload(rest);
        }
        self.storage().forget_key(id, event).await?;
        Ok(Retirement::Retired)
    }

    fn may_be_retired(&self, id: &KeyId, checks: &[KeyCheck]) -> Result<(), BrokerError> {
        let Some((sealing, since)) = sealing_key(checks) else { return Ok(()) };
        if sealing == id {
            let problem = format!("'{id}' seals: put a new key in its place first (doorward keys rotate)");
            return Err(BrokerError::conflict("key", problem));
        }
        let quiet = since.until(self.now());
        let sealed_once = checks.iter().any(|check| check.id == *id && check.sealing_since.is_some());
        if sealed_once && quiet < ON_ITS_WAY {
            let problem = format!(
                "'{sealing}' took over {} seconds ago, and what was sealed with '{id}' before may still be on its \
                 way to the database: try again in {} seconds",
                quiet.as_secs(),
                (ON_ITS_WAY - quiet).as_secs() + 1
            );
            return Err(BrokerError::conflict("key", problem));
        }
        Ok(())
    }

    /// Seals with the key that the whole cluster seals with, and makes the first key of this process's ring that
    /// one, if it never was before. Called at the start and on a beat.
    pub async fn follow_sealing_key(&self) -> Result<(), BrokerError> {
        let _turn = self.key_turns.changing.lock().await;
        let checks = self.storage().key_checks().await?;
        let ours = self.parts.vault.key_ids();
        let sealing = sealing_key(&checks).map(|(id, _)| id);
        if let Some(sealing) = sealing
            && !self.parts.vault.seal_with(sealing)
        {
            return Err(BrokerError::SealingKeyMissing { key: sealing.clone() });
        }
        let Some(first) = ours.first().filter(|first| sealing != Some(*first)) else { return Ok(()) };
        if checks.iter().any(|check| check.id == *first && check.sealing_since.is_some()) {
            return Ok(());
        }
        let event = sealing.map(|replaced| {
            NewAuditEvent::new(Actor::System, "keys.switch").subject(first).detail("replaces", replaced)
        });
        self.switch_to(first, event).await
    }

    async fn switch_to(&self, key: &KeyId, event: Option<NewAuditEvent>) -> Result<(), BrokerError> {
        match self.storage().switch_sealing_key(key, event).await? {
            SealingSwitch::Switched => {
                self.parts.vault.seal_with(key);
                tracing::info!(%key, "a key begins to seal");
            }
            SealingSwitch::NotEverywhere { replicas } => {
                tracing::info!(%key, replicas, "a new key waits until every replica has it");
            }
            // Another process was faster; the next beat follows it.
            SealingSwitch::NotAgain => {}
        }
        Ok(())
    }

    /// The ring in the file, if it has the keys that this process has: one that was changed by hand is not
    /// written over.
    fn ring_as_it_is(&self, file: &RingFile) -> Result<KeyRing, BrokerError> {
        let ring = file.read()?.filter(|ring| {
            let in_file: BTreeSet<&KeyId> = ring.key_ids().collect();
            in_file == self.parts.vault.key_ids().iter().collect()
        });
        ring.ok_or_else(|| {
            let path = file.path().display();
            BrokerError::conflict(
                "key ring",
                format!("{path} has other keys than this process: it was changed by hand, so start the server anew first"),
            )
        })
    }
}

/// Writes on a thread that may wait for the disk.
async fn written(file: RingFile, ring: KeyRing) -> Result<KeyRing, RingFileError> {
    let writing = tokio::task::spawn_blocking(move || file.write(&ring).map(|()| ring));
    writing.await.expect("writing a file does not panic, and the runtime outlives its callers")
}

/// How many values are sealed with a key.
pub(crate) fn rows_of(id: &KeyId, counts: &[SealedCount]) -> u64 {
    counts.iter().filter(|count| count.key == *id).map(|count| count.rows).sum()
}

fn still_needed(id: &KeyId, counts: &[SealedCount]) -> String {
    let of_key = counts.iter().filter(|count| count.key == *id);
    let places: Vec<String> =
        of_key.map(|count| format!("{} in {}.{}", count.rows, count.table, count.column)).collect();
    let rows = rows_of(id, counts);
    format!(
        "'{id}' is still needed by {rows} sealed {}: {}; they are sealed anew in the background (doorward keys list)",
        if rows == 1 { "value" } else { "values" },
        places.join(", ")
    )
}
