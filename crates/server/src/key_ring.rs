//! Where the key ring comes from, and whether it is the one that the database was sealed with.

use crate::app::StartError;
use crate::data_dir::DataDir;
use crate::settings::{DatabaseSetting, Settings};
use doorward_domain::Entropy;
use doorward_storage::{Storage, sealing_key};
use doorward_vault::{KeyRing, RingFile, Vault};
use secrecy::ExposeSecret;

/// The configured ring, else the one in the data directory, which on SQLite is made at the first start.
/// `fresh` says whether there is no database yet: a lost ring is not replaced under sealed data.
pub(crate) fn load(
    settings: &Settings,
    directory: &DataDir,
    entropy: Entropy,
    fresh: bool,
) -> Result<KeyRing, StartError> {
    if let Some(text) = &settings.key_ring {
        return Ok(KeyRing::parse(text.expose_secret())?);
    }
    if let DatabaseSetting::Postgres(_) = settings.database {
        return Err(StartError::KeyRingNeeded);
    }
    let file = directory.ring_file();
    if let Some(ring) = file.read()? {
        return Ok(ring);
    }
    if !fresh {
        return Err(StartError::KeyRingLost);
    }
    let ring = KeyRing::generate(entropy, "k1");
    file.write(&ring)?;
    Ok(ring)
}

/// Where the generated ring is; none when a setting gives the ring.
pub(crate) fn file_of(settings: &Settings, directory: &DataDir) -> Option<RingFile> {
    settings.key_ring.is_none().then(|| directory.ring_file())
}

/// Compares every key with the value that the database keeps of it, notes new keys, and misses those that the
/// database still needs.
pub(crate) async fn check(vault: &Vault, storage: &Storage) -> Result<(), StartError> {
    let ours = vault.key_ids();
    // First said, then read: a switch that happens meanwhile sees this process, or is seen by it.
    storage.announce_keys(&ours).await?;
    let known = storage.key_checks().await?;
    for check in &known {
        if ours.contains(&check.id) && !vault.verify_key_check(&check.id, &check.check) {
            return Err(StartError::KeyWrong { key: check.id.clone() });
        }
    }
    if let Some(count) = storage.sealed_counts().await?.into_iter().find(|count| !ours.contains(&count.key)) {
        return Err(StartError::KeyMissing { key: count.key, rows: count.rows });
    }
    if let Some((key, _)) = sealing_key(&known).filter(|(key, _)| !ours.contains(key)) {
        return Err(StartError::KeyMissing { key: key.clone(), rows: 0 });
    }
    for id in ours.iter().filter(|id| !known.iter().any(|check| check.id == **id)) {
        storage.insert_key_check(id, &vault.key_check(id)).await?;
    }
    Ok(())
}
