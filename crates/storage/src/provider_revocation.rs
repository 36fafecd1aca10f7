//! The outbox of what providers are still to be told. It is written where grants end, in the same transaction.
//! The sealed bytes move as they are: their place stays the one that they were sealed for.

use crate::ended_grant::End;
use crate::error::StorageError;
use crate::row::{RowName, text};
use crate::transaction::Tx;
use doorward_domain::{ProviderEnd, Receipt, Telling, telling};
use url::Url;

/// The receipt that the grants of some gateways get, if any of their tokens still lives.
pub(crate) struct Told {
    pub(crate) receipt: Receipt,
    pub(crate) detail: Option<&'static str>,
    pub(crate) gateways: Vec<String>,
    slugs: Vec<String>,
}

impl Told {
    pub(crate) fn slug_of(&self, gateway: &str) -> Option<&str> {
        let at = self.gateways.iter().position(|id| id == gateway)?;
        self.slugs.get(at).map(String::as_str)
    }
}

#[derive(sqlx::FromRow)]
struct GatewayFacts {
    id: String,
    slug: String,
    revocation_method: String,
    revocation_reach: String,
    revocation_url: Option<String>,
    token_url: Option<String>,
    issuer: Option<String>,
}

/// What the providers behind a JSON list of gateways are told of the end of grants there.
pub(crate) async fn what_is_told(
    tx: &mut Tx,
    gateways: &str,
    end: &End<'_>,
) -> Result<Vec<Told>, StorageError> {
    let sql = tx.connection.spell(
        "SELECT id, slug, revocation_method, revocation_reach, revocation_url, token_url, issuer FROM gateways \
         WHERE id IN (EACH($1))",
    );
    let gateways = tx!(tx, fetch_all, sqlx::query_as::<_, GatewayFacts>(sql).bind(gateways))?;
    let mut told: Vec<Told> = Vec::new();
    for gateway in gateways {
        let (receipt, detail) = gateway.receipt(end)?;
        match told.iter_mut().find(|same| (same.receipt, same.detail) == (receipt, detail)) {
            Some(same) => {
                same.gateways.push(gateway.id);
                same.slugs.push(gateway.slug);
            }
            None => {
                told.push(Told { receipt, detail, gateways: vec![gateway.id], slugs: vec![gateway.slug] });
            }
        }
    }
    Ok(told)
}

impl GatewayFacts {
    fn receipt(&self, end: &End<'_>) -> Result<(Receipt, Option<&'static str>), StorageError> {
        let row = RowName { table: "gateways", id: &self.id };
        let told_at = row.parse_optional::<Url>("revocation_url", self.revocation_url.as_deref())?;
        let Some(token_url) = row.parse_optional("token_url", self.token_url.as_deref())? else {
            return Ok((Receipt::NoSuchCall, None));
        };
        let telling = telling(
            row.word("revocation_method", &self.revocation_method)?,
            row.word("revocation_reach", &self.revocation_reach)?,
            told_at.as_ref(),
            &token_url,
            self.issuer.as_deref(),
        );
        let chosen = if end.cause.lets_choose() { end.provider } else { ProviderEnd::UnlessWide };
        Ok(match (telling, chosen) {
            (Telling::NoSuchCall, _) => (Receipt::NoSuchCall, None),
            (_, ProviderEnd::HereOnly) => (Receipt::NotTold, Some("it was chosen to end it here only")),
            (Telling::Stranger, _) => {
                (Receipt::NotTold, Some("its revocation endpoint is not known to be the provider's own"))
            }
            (Telling::EndsMore(_), ProviderEnd::UnlessWide) => {
                (Receipt::NotTold, Some("telling the provider would have ended more than this grant"))
            }
            (Telling::Ends, _) | (Telling::EndsMore(_), ProviderEnd::ThereToo) => (Receipt::Pending, None),
        })
    }
}

/// Puts the tokens of a JSON list of grants, whose records say `pending`, into the outbox. A token that has ended
/// is not told of.
pub(crate) async fn queue(tx: &mut Tx, ids: &str) -> Result<(), StorageError> {
    let sql = tx.connection.spell(
        "INSERT INTO provider_revocations (grant_id, gateway_slug, method, revocation_url, token_url, issuer, \
         fingerprint, client_id, client_registration_id, client_secret, client_secret_key_id, \
         client_secret_fingerprint, token_endpoint_auth, assertion_kid, access_token, access_token_key_id, refresh_token, \
         refresh_token_key_id, attempts, next_attempt_at, created_at) \
         SELECT gr.id, g.slug, g.revocation_method, g.revocation_url, g.token_url, g.issuer, gr.fingerprint, \
         r.client_id, r.id, r.client_secret, r.client_secret_key_id, r.fingerprint, r.token_endpoint_auth, \
         r.assertion_kid, \
         CASE WHEN gr.expires_at > $2 THEN gr.access_token END, \
         CASE WHEN gr.expires_at > $2 THEN gr.access_token_key_id END, \
         CASE WHEN g.revocation_method = 'rfc7009' THEN gr.refresh_token END, \
         CASE WHEN g.revocation_method = 'rfc7009' THEN gr.refresh_token_key_id END, \
         0, $2, $2 \
         FROM grants gr JOIN gateways g ON g.id = gr.gateway_id \
         JOIN client_registrations r ON r.id = g.client_registration_id \
         WHERE gr.id IN (EACH($1))",
    );
    let now = tx.now().millis();
    tx!(tx, execute, sqlx::query(sql).bind(text(ids)).bind(now)).map(drop)
}
