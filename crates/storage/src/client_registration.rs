//! Our client at one issuer for one gateway. It is read and written with its gateway.

use crate::error::StorageError;
use crate::registration_removal;
use crate::row::{RowName, bytes_of, key_of, text, word};
use crate::transaction::Tx;
use doorward_domain::{ClientRegistration, Fingerprint, GatewayId};

/// The columns of a registration beside its gateway's; all empty where the gateway has none.
#[derive(sqlx::FromRow)]
pub(crate) struct ClientRegistrationRow {
    registration_id: Option<String>,
    registration_issuer: Option<String>,
    registration_kind: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Vec<u8>>,
    client_secret_key_id: Option<String>,
    handle: Option<Vec<u8>>,
    handle_key_id: Option<String>,
    dpop_key: Option<Vec<u8>>,
    dpop_key_key_id: Option<String>,
    registration_fingerprint: Option<String>,
    token_endpoint_auth: Option<String>,
    assertion_kid: Option<String>,
}

macro_rules! registration_columns {
    () => {
        "r.id AS registration_id, r.issuer AS registration_issuer, r.kind AS registration_kind, r.client_id, \
         r.client_secret, r.client_secret_key_id, r.handle, r.handle_key_id, r.dpop_key, r.dpop_key_key_id, r.fingerprint AS registration_fingerprint, \
         r.token_endpoint_auth, r.assertion_kid"
    };
}
pub(crate) use registration_columns;

impl ClientRegistrationRow {
    /// `gateway` names the gateway's row: a missing registration is its fault.
    pub(crate) fn into_registration(self, gateway: RowName<'_>) -> Result<ClientRegistration, StorageError> {
        let id = gateway.required("client_registration_id", self.registration_id)?;
        let row = RowName { table: "client_registrations", id: &id };
        let kind = row.required("kind", self.registration_kind)?;
        let auth = row.required("token_endpoint_auth", self.token_endpoint_auth)?;
        Ok(ClientRegistration {
            id: row.parse("id", &id)?,
            issuer: row.required("issuer", self.registration_issuer)?,
            kind: row.word("kind", &kind)?,
            client_id: row.required("client_id", self.client_id)?,
            client_secret: row.sealed("client_secret", self.client_secret, self.client_secret_key_id)?,
            dpop_key: row.sealed("dpop_key", self.dpop_key, self.dpop_key_key_id)?,
            handle: row.sealed("handle", self.handle, self.handle_key_id)?,
            fingerprint: Fingerprint(row.required("fingerprint", self.registration_fingerprint)?),
            token_endpoint_auth: row.word("token_endpoint_auth", &auth)?,
            assertion_kid: self.assertion_kid,
        })
    }
}

/// Makes `registration` the only one of its gateway. A secret that is no longer used is not kept.
pub(crate) async fn put(
    tx: &mut Tx,
    gateway: GatewayId,
    registration: Option<&ClientRegistration>,
) -> Result<(), StorageError> {
    let current = registration.map(|registration| registration.id.to_string()).unwrap_or_default();
    let client_id = registration.map(|registration| registration.client_id.as_str()).unwrap_or_default();
    registration_removal::queue(tx, gateway, &current, client_id).await?;
    tx!(
        tx,
        execute,
        sqlx::query("DELETE FROM client_registrations WHERE gateway_id = $1 AND id <> $2")
            .bind(gateway.to_string())
            .bind(&current)
    )?;
    let Some(registration) = registration else { return Ok(()) };
    tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO client_registrations (id, gateway_id, issuer, kind, client_id, client_secret, \
             client_secret_key_id, fingerprint, token_endpoint_auth, assertion_kid, handle, handle_key_id, dpop_key, \
             dpop_key_key_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (id) DO UPDATE SET issuer = excluded.issuer, kind = excluded.kind, \
             client_id = excluded.client_id, client_secret = excluded.client_secret, \
             client_secret_key_id = excluded.client_secret_key_id, fingerprint = excluded.fingerprint, \
             token_endpoint_auth = excluded.token_endpoint_auth, assertion_kid = excluded.assertion_kid, \
             handle = excluded.handle, handle_key_id = excluded.handle_key_id, dpop_key = excluded.dpop_key, \
             dpop_key_key_id = excluded.dpop_key_key_id"
        )
        .bind(&current)
        .bind(gateway.to_string())
        .bind(text(&registration.issuer))
        .bind(word(registration.kind))
        .bind(text(&registration.client_id))
        .bind(bytes_of(registration.client_secret.as_ref()))
        .bind(key_of(registration.client_secret.as_ref()))
        .bind(text(&registration.fingerprint.0))
        .bind(word(registration.token_endpoint_auth))
        .bind(registration.assertion_kid.as_deref().map(text))
        .bind(bytes_of(registration.handle.as_ref()))
        .bind(key_of(registration.handle.as_ref()))
        .bind(bytes_of(registration.dpop_key.as_ref()))
        .bind(key_of(registration.dpop_key.as_ref()))
    )?;
    Ok(())
}
