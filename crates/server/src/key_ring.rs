//! Where the key ring comes from, and whether it is the one that the database was sealed with.

use crate::app::StartError;
use crate::data_dir::DataDir;
use crate::settings::{DatabaseSetting, Settings};
use doorward_domain::Entropy;
use doorward_storage::Storage;
use doorward_vault::{KeyRing, Vault};
use secrecy::ExposeSecret;

/// The generated ring, in the data directory.
const FILE: &str = "key-ring";

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
    if let Some(text) = directory.read(FILE)? {
        return Ok(KeyRing::parse(&text)?);
    }
    if !fresh {
        return Err(StartError::KeyRingLost);
    }
    let ring = KeyRing::generate(entropy, "k1");
    directory.write_new(FILE, ring.to_text().expose_secret())?;
    Ok(ring)
}

/// Compares every key with the value that the database keeps of it, and notes new keys.
pub(crate) async fn check(vault: &Vault, storage: &Storage) -> Result<(), StartError> {
    let known = storage.key_checks().await?;
    let ours: Vec<_> = vault.key_ids().cloned().collect();
    if !known.is_empty() && !known.iter().any(|(id, _)| ours.contains(id)) {
        let names: Vec<String> = known.iter().map(|(id, _)| id.to_string()).collect();
        return Err(StartError::KeyMissing { keys: names.join(", ") });
    }
    for id in ours {
        match known.iter().find(|(known, _)| *known == id) {
            Some((_, check)) if vault.verify_key_check(&id, check) => {}
            Some(_) => return Err(StartError::KeyWrong { key: id }),
            None => storage.insert_key_check(&id, &vault.key_check(&id)).await?,
        }
    }
    Ok(())
}
