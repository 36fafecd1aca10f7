//! 10,000 revokes over REST while the same users keep calling: how long a revoke takes until it is answered, and
//! that no call is served after that.

use crate::prepare::{AnyError, administrator, broker, gateway};
use crate::{LISTEN, start};
use doorward_broker::NewApiToken;
use doorward_demo::AuthorizationServer;
use doorward_domain::{Audience, Clock, Entropy};
use doorward_storage::Storage;
use doorward_testkit::revoke_load::{Ground, revoke_under_load};
use doorward_vault::{KeyRing, Vault};
use secrecy::ExposeSecret;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

const USERS: usize = 100;
const GATEWAYS: usize = 100;
/// Revokes at the same time, and callers beside them.
const AT_ONCE: (usize, usize) = (4, 16);

/// Measures, prints one line, and fails when a call was served that must not be.
pub async fn run(server: &AuthorizationServer, upstream: &str) -> Result<(), AnyError> {
    let owner_only = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().permissions(owner_only).tempdir()?;
    let key_ring = KeyRing::generate(Entropy, "bench").to_text().expose_secret().to_owned();
    let storage = Storage::open_sqlite(&directory.path().join("doorward.db"), Clock::System).await?;
    let broker = broker(&storage, &key_ring)?;
    let admin = administrator(&broker).await?;
    let vault = Vault::new(KeyRing::parse(&key_ring)?);
    let clock = Clock::System;
    let ground =
        Ground { broker: &broker, storage: &storage, vault: &vault, clock: &clock, server, admin: &admin };
    let inputs = (0..GATEWAYS).map(|number| gateway(server, upstream, &format!("revoke-{number}"))).collect();
    let grants = ground.grants(USERS, inputs).await;
    let token = NewApiToken { name: "bench".into(), audience: Audience::Admin, gateways: None, days: None };
    let token = broker.create_api_token(&admin, token).await?.plain.expose_secret().to_owned();
    storage.close().await;

    let mut process = start(directory.path(), &key_ring).await?;
    let seen = revoke_under_load(&format!("http://{LISTEN}"), &token, "work", grants, AT_ONCE).await;
    process.stop();
    let within = |share: f64| {
        let at = (seen.answered_within.len() as f64 * share) as usize;
        seen.answered_within.get(at).map_or(0, std::time::Duration::as_micros)
    };
    let line = format!(
        "{} revokes under load: {} calls served, {} refused, {} served after the revoke was answered; \
         answered within p50 {} µs, p99 {} µs\n",
        seen.revokes,
        seen.served,
        seen.refused,
        seen.served_after_answered,
        within(0.5),
        within(0.99),
    );
    std::io::stdout().write_all(line.as_bytes())?;
    if seen.revokes != USERS * GATEWAYS || seen.served_after_answered > 0 {
        return Err("a revoked grant served a call".into());
    }
    Ok(())
}
