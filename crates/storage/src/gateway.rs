//! Gateways, with their OAuth settings and client registration: one thing in the domain, two tables here.

use crate::access_list::{self, AccessOf};
use crate::catalog_version::catalogs_changed;
use crate::client_registration;
use crate::cursor::Slice;
use crate::ended_grant::{End, GrantsOf, end_grants};
use crate::error::StorageError;
use crate::gateway_row::{GatewayRow, select_gateways};
use crate::grant::park_grants;
use crate::grant_status::{Settled, settle};
use crate::orphan::settle_orphans;
use crate::registration_removal;
use crate::row::{bytes_of, json, key_of, text, word};
use crate::storage::Storage;
use crate::tool_access;
use crate::transaction::Tx;
use crate::user::{Inserted, Updated};
use doorward_domain::{
    Change, EndCause, Fingerprint, Gateway, GatewayAuthorization, GatewayId, GrantType, NewAuditEvent,
    OAuthSettings, Page, PageRequest, ProviderFacts, ReauthorizationReason, Slug, StaticHeader,
};
use std::collections::BTreeMap;
use url::Url;

/// What became of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct GatewayUpdate {
    pub outcome: Updated,
    /// How many grants were parked, because their tokens were given for another place.
    pub parked: u64,
}

impl Storage {
    /// Creates a gateway, at version 1; `Conflict` when the slug is taken.
    pub async fn insert_gateway(
        &self,
        gateway: &Gateway,
        audit: NewAuditEvent,
    ) -> Result<Inserted, StorageError> {
        let mut tx = self.begin("create a gateway").await?;
        if !insert(&mut tx, gateway).await? {
            return Ok(Inserted::Conflict);
        }
        access_list::put(&mut tx, AccessOf::Gateway(gateway.id), &gateway.access).await?;
        tool_access::put(&mut tx, gateway).await?;
        put_settings(&mut tx, gateway).await?;
        tx.change(Change::Gateway(gateway.id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(Inserted::Yes)
    }

    /// The gateway with an id.
    pub async fn gateway(&self, id: GatewayId) -> Result<Option<Gateway>, StorageError> {
        let row = read!(
            self,
            "read a gateway",
            fetch_optional,
            sqlx::query_as::<_, GatewayRow>(concat!(select_gateways!(), " WHERE g.id = $1"))
                .bind(id.to_string())
        )?;
        row.map(GatewayRow::into_gateway).transpose()
    }

    /// The gateway with a slug.
    pub async fn gateway_by_slug(&self, slug: &Slug) -> Result<Option<Gateway>, StorageError> {
        let row = read!(
            self,
            "look for a gateway by slug",
            fetch_optional,
            sqlx::query_as::<_, GatewayRow>(concat!(select_gateways!(), " WHERE g.slug = $1"))
                .bind(slug.as_str())
        )?;
        row.map(GatewayRow::into_gateway).transpose()
    }

    /// A page of gateways, oldest first.
    pub async fn gateways(&self, request: &PageRequest) -> Result<Page<Gateway>, StorageError> {
        let slice = Slice::of("gateways", i64::MIN, request)?;
        let rows = read!(
            self,
            "list the gateways",
            fetch_all,
            sqlx::query_as::<_, GatewayRow>(concat!(
                select_gateways!(),
                " WHERE (g.created_at, g.id) > ($1, $2) ORDER BY g.created_at, g.id LIMIT $3"
            ))
            .bind(slice.after.0)
            .bind(&slice.after.1)
            .bind(slice.limit)
        )?;
        let gateways = rows.into_iter().map(GatewayRow::into_gateway).collect::<Result<Vec<_>, _>>()?;
        Ok(slice.page(gateways, |gateway| (gateway.created_at.millis(), gateway.id.to_string())))
    }

    /// Every gateway, oldest first: there are tens or hundreds of them, and caches hold them all.
    pub async fn all_gateways(&self) -> Result<Vec<Gateway>, StorageError> {
        let rows = read!(
            self,
            "read all gateways",
            fetch_all,
            sqlx::query_as::<_, GatewayRow>(concat!(select_gateways!(), " ORDER BY g.created_at, g.id"))
        )?;
        rows.into_iter().map(GatewayRow::into_gateway).collect()
    }

    /// Changes a gateway whose `version` is the one that was read, and raises it. The slug stays as it is.
    /// Grants whose users lose access by it are orphaned, and taken back when it returns.
    /// With a reason to `park`, every grant whose tokens were given for another place needs authorization.
    pub async fn update_gateway(
        &self,
        gateway: &Gateway,
        park: Option<ReauthorizationReason>,
        audit: NewAuditEvent,
    ) -> Result<GatewayUpdate, StorageError> {
        let mut tx = self.begin("change a gateway").await?;
        let locked = lock(&mut tx, gateway.id).await?;
        let outcome = match &locked {
            None => Updated::Missing,
            Some(locked) if locked.version != gateway.version => Updated::VersionMismatch,
            Some(_) => Updated::Yes,
        };
        if outcome != Updated::Yes {
            return Ok(GatewayUpdate { outcome, parked: 0 });
        }
        update(&mut tx, gateway).await?;
        access_list::put(&mut tx, AccessOf::Gateway(gateway.id), &gateway.access).await?;
        tool_access::put(&mut tx, gateway).await?;
        put_settings(&mut tx, gateway).await?;
        let parked = match park {
            // Tokens fit no gateway without a secret, and no fingerprint is empty.
            Some(reason) => {
                let fingerprint = gateway.fingerprint().unwrap_or(Fingerprint(String::new()));
                park_grants(&mut tx, gateway.id, &fingerprint, reason).await?
            }
            None => 0,
        };
        if locked.as_ref().is_some_and(|locked| locked.schedules_otherwise(gateway)) {
            settle(&mut tx, Settled::Gateway(gateway.id)).await?;
        }
        if locked.as_ref().is_some_and(|locked| locked.on_change != word(gateway.on_change)) {
            catalogs_changed(&mut tx, gateway.id).await?;
        }
        if locked.is_some_and(|locked| locked.may_orphan(gateway)) {
            settle_orphans(&mut tx, Settled::Gateway(gateway.id), &audit.actor).await?;
        }
        tx.change(Change::Gateway(gateway.id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(GatewayUpdate { outcome, parked })
    }

    /// Deletes a gateway with its catalogs and pending authorizations; its grants are kept as ended.
    /// With a `version`, only if it is still that one.
    pub async fn delete_gateway(
        &self,
        id: GatewayId,
        version: Option<i64>,
        audit: NewAuditEvent,
    ) -> Result<Updated, StorageError> {
        let mut tx = self.begin("delete a gateway").await?;
        match lock(&mut tx, id).await? {
            None => return Ok(Updated::Missing),
            Some(locked) if version.is_some_and(|version| version != locked.version) => {
                return Ok(Updated::VersionMismatch);
            }
            Some(_) => {}
        }
        end_grants(&mut tx, GrantsOf::Gateway(id), &End::with(EndCause::GatewayDeleted, &audit)).await?;
        registration_removal::queue(&mut tx, id, "", "").await?;
        tx!(tx, execute, sqlx::query("DELETE FROM gateways WHERE id = $1").bind(id.to_string()))?;
        tx.change(Change::Gateway(id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(Updated::Yes)
    }

    /// How many grants would be parked if the gateway's fingerprint were `fingerprint`.
    pub async fn count_grants_with_other_fingerprint(
        &self,
        id: GatewayId,
        fingerprint: &Fingerprint,
    ) -> Result<u64, StorageError> {
        let count: i64 = read!(
            self,
            "count the grants of a gateway",
            fetch_one,
            sqlx::query_scalar(
                "SELECT count(*) FROM grants WHERE gateway_id = $1 AND fingerprint <> $2 \
                 AND state <> 'needs_authorization'"
            )
            .bind(id.to_string())
            .bind(&fingerprint.0)
        )?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

/// A gateway's row, locked until the end of the transaction.
#[derive(sqlx::FromRow)]
pub(crate) struct LockedGateway {
    pub(crate) state: String,
    access: String,
    on_change: String,
    version: i64,
    replay_safe: bool,
    keep_alive: bool,
}

impl LockedGateway {
    /// Whether somebody may lose access by an edit, or get it back.
    fn may_orphan(&self, edited: &Gateway) -> bool {
        self.state != word(edited.state) || self.access == "listed" || edited.access.is_narrowed()
    }

    /// Whether the background refreshes grants at other times from now on.
    fn schedules_otherwise(&self, edited: &Gateway) -> bool {
        let oauth = edited.oauth();
        self.replay_safe != oauth.is_some_and(|settings| settings.facts.replay_safe)
            || self.keep_alive != oauth.is_some_and(|settings| settings.keep_alive)
    }
}

/// Locks a gateway's row. An update that changes nothing takes the lock on both databases.
pub(crate) async fn lock(tx: &mut Tx, id: GatewayId) -> Result<Option<LockedGateway>, StorageError> {
    tx!(
        tx,
        fetch_optional,
        sqlx::query_as::<_, LockedGateway>(
            "UPDATE gateways SET version = version WHERE id = $1 RETURNING state, access, on_change, version, replay_safe, keep_alive"
        )
        .bind(id.to_string())
    )
}

async fn insert(tx: &mut Tx, gateway: &Gateway) -> Result<bool, StorageError> {
    let inserted = tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO gateways (id, slug, name, name_key, url, state, access, catalog_sharing, on_change, era, authorization_kind, \
             iss_promised, scopes, authorize_params, scope_ceiling, refused_scopes, facts, replay_safe, \
             revocation_method, revocation_reach, keep_alive, grant_type, created_at, updated_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, 'everyone', $7, $10, $11, 'none', FALSE, '[]', '{}', '[]', '[]', '{}', FALSE, 'rfc7009', 'this_grant', FALSE, 'authorization_code', $8, $9, 1) \
             ON CONFLICT (slug) DO NOTHING"
        )
        .bind(gateway.id.to_string())
        .bind(gateway.slug.as_str())
        .bind(text(&gateway.name))
        .bind(text(&gateway.name).to_lowercase())
        .bind(gateway.url.as_str())
        .bind(word(gateway.state))
        .bind(word(gateway.catalog_sharing))
        .bind(gateway.created_at.millis())
        .bind(gateway.updated_at.millis())
        .bind(word(gateway.on_change))
        .bind(word(gateway.era))
    )?;
    Ok(inserted == 1)
}

async fn update(tx: &mut Tx, gateway: &Gateway) -> Result<(), StorageError> {
    tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE gateways SET name = $1, name_key = $2, url = $3, state = $4, catalog_sharing = $5, \
             updated_at = $6, on_change = $8, era = $9, version = version + 1 WHERE id = $7"
        )
        .bind(text(&gateway.name))
        .bind(text(&gateway.name).to_lowercase())
        .bind(gateway.url.as_str())
        .bind(word(gateway.state))
        .bind(word(gateway.catalog_sharing))
        .bind(gateway.updated_at.millis())
        .bind(gateway.id.to_string())
        .bind(word(gateway.on_change))
        .bind(word(gateway.era))
    )
    .map(drop)
}

/// Writes how users are authorized; what belongs to another kind of authorization is emptied.
async fn put_settings(tx: &mut Tx, gateway: &Gateway) -> Result<(), StorageError> {
    let (kind, header, oauth) = match &gateway.authorization {
        GatewayAuthorization::None => ("none", None, None),
        GatewayAuthorization::StaticHeader(header) => ("static_header", Some(header), None),
        GatewayAuthorization::OAuth(settings) => ("oauth", None, Some(settings.as_ref())),
    };
    client_registration::put(tx, gateway.id, oauth.map(|settings| &settings.registration)).await?;
    put_static_header(tx, gateway.id, kind, header).await?;
    put_client_certificate(tx, gateway).await?;
    put_oauth(tx, gateway.id, oauth).await?;
    put_facts(tx, gateway, oauth).await
}

async fn put_static_header(
    tx: &mut Tx,
    id: GatewayId,
    kind: &'static str,
    header: Option<&StaticHeader>,
) -> Result<(), StorageError> {
    let value = header.map(|header| &header.value);
    tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE gateways SET authorization_kind = $1, static_header_name = $2, static_header = $3, \
             static_header_key_id = $4, static_header_fingerprint = $5 WHERE id = $6"
        )
        .bind(kind)
        .bind(header.map(|header| header.name.as_str()))
        .bind(bytes_of(value))
        .bind(key_of(value))
        .bind(header.map(|header| header.fingerprint.0.as_str()))
        .bind(id.to_string())
    )
    .map(drop)
}

async fn put_client_certificate(tx: &mut Tx, gateway: &Gateway) -> Result<(), StorageError> {
    let certificate = gateway.client_certificate.as_ref();
    let sealed = certificate.map(|certificate| &certificate.sealed);
    tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE gateways SET client_certificate = $1, client_certificate_key_id = $2, \
             client_certificate_fingerprint = $3, client_certificate_subject = $4, \
             client_certificate_ends_at = $5 WHERE id = $6"
        )
        .bind(bytes_of(sealed))
        .bind(key_of(sealed))
        .bind(certificate.map(|certificate| certificate.fingerprint.0.as_str()))
        .bind(certificate.map(|certificate| text(&certificate.subject)))
        .bind(certificate.map(|certificate| certificate.ends_at.millis()))
        .bind(gateway.id.to_string())
    )
    .map(drop)
}

async fn put_oauth(tx: &mut Tx, id: GatewayId, oauth: Option<&OAuthSettings>) -> Result<(), StorageError> {
    tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE gateways SET authorization_url = $1, token_url = $2, revocation_url = $3, issuer = $4, \
             iss_promised = $5, resource = $6, scopes = $7, authorize_params = $8, \
             client_registration_id = $9, scope_ceiling = $10, refused_scopes = '[]', former_issuer = $11, grant_type = $12, identity_provider_id = $13, audience = $14 WHERE id = $15"
        )
        .bind(oauth.and_then(|settings| settings.authorization_url.as_ref()).map(Url::as_str))
        .bind(oauth.map(|settings| settings.token_url.as_str()))
        .bind(oauth.and_then(|settings| settings.revocation_url.as_ref()).map(Url::as_str))
        .bind(oauth.and_then(|settings| settings.issuer.as_deref()).map(text))
        .bind(oauth.is_some_and(|settings| settings.iss_promised))
        .bind(oauth.and_then(|settings| settings.resource.as_deref()).map(text))
        .bind(json(oauth.map_or(&[][..], |settings| &settings.scopes)))
        .bind(json(oauth.map_or(&BTreeMap::new(), |settings| &settings.authorize_params)))
        .bind(oauth.map(|settings| settings.registration.id.to_string()))
        .bind(json(oauth.map_or(&[][..], |settings| &settings.scope_ceiling)))
        .bind(oauth.and_then(|settings| settings.former_issuer.as_deref()).map(text))
        .bind(word(oauth.map_or(GrantType::default(), |settings| settings.grant_type)))
        .bind(oauth.and_then(|settings| settings.identity_provider).map(|id| id.to_string()))
        .bind(oauth.and_then(|settings| settings.audience.as_deref()).map(text))
        .bind(id.to_string())
    )
    .map(drop)
}

/// Writes how the authorization server differs from the book, and where its tokens may be sent now. An edit
/// forgets what was wrong with the registration: the next refresh tells whether it still is.
async fn put_facts(
    tx: &mut Tx,
    gateway: &Gateway,
    oauth: Option<&OAuthSettings>,
) -> Result<(), StorageError> {
    let facts = oauth.map_or_else(ProviderFacts::default, |settings| settings.facts.clone());
    tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE gateways SET replay_safe = $1, facts = $2, provider_template = $3, \
             revocation_method = $4, revocation_reach = $5, user_apps_url = $6, keep_alive = $7, \
             fingerprint = $8, registration_problem = NULL, registration_problem_since = NULL WHERE id = $9"
        )
        .bind(facts.replay_safe)
        .bind(json(&facts))
        .bind(oauth.and_then(|settings| settings.template.as_ref()).map(json))
        .bind(word(facts.revocation_method))
        .bind(word(facts.revocation_reach))
        .bind(facts.user_apps_url.as_ref().map(Url::as_str))
        .bind(oauth.is_some_and(|settings| settings.keep_alive))
        .bind(gateway.fingerprint().map(|fingerprint| fingerprint.0))
        .bind(gateway.id.to_string())
    )
    .map(drop)
}
