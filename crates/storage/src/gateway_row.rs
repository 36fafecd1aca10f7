//! A gateway as columns: its own, and those of its client registration.

use crate::access_list;
use crate::client_registration::ClientRegistrationRow;
use crate::error::StorageError;
use crate::row::RowName;
use crate::tool_access;
use doorward_domain::{
    ClientCertificate, Fingerprint, Gateway, GatewayAuthorization, GrantType, OAuthSettings,
    RegistrationProblem, Slug, StaticHeader, Timestamp,
};

#[derive(sqlx::FromRow)]
pub(crate) struct GatewayRow {
    id: String,
    slug: String,
    name: String,
    url: String,
    state: String,
    access: String,
    access_groups: Option<String>,
    access_users: Option<String>,
    tool_access: Option<String>,
    catalog_sharing: String,
    on_change: String,
    era: String,
    authorization_kind: String,
    static_header_name: Option<String>,
    static_header: Option<Vec<u8>>,
    static_header_key_id: Option<String>,
    static_header_fingerprint: Option<String>,
    client_certificate: Option<Vec<u8>>,
    client_certificate_key_id: Option<String>,
    client_certificate_fingerprint: Option<String>,
    client_certificate_subject: Option<String>,
    client_certificate_ends_at: Option<i64>,
    grant_type: String,
    identity_provider_id: Option<String>,
    authorization_url: Option<String>,
    token_url: Option<String>,
    revocation_url: Option<String>,
    issuer: Option<String>,
    iss_promised: bool,
    resource: Option<String>,
    audience: Option<String>,
    scopes: String,
    authorize_params: String,
    scope_ceiling: String,
    refused_scopes: String,
    facts: String,
    provider_template: Option<String>,
    keep_alive: bool,
    registration_problem: Option<String>,
    registration_problem_since: Option<i64>,
    former_issuer: Option<String>,
    created_at: i64,
    updated_at: i64,
    version: i64,
    #[sqlx(flatten)]
    registration: ClientRegistrationRow,
}

/// Everything up to the WHERE clause.
macro_rules! select_gateways {
    () => {
        concat!(
            "SELECT g.id, g.slug, g.name, g.url, g.state, ",
            $crate::access_list::access_columns!("gateway_id", "g"),
            ", (SELECT string_agg(t.tool || ' ' || COALESCE(t.group_id, '') || ' ' || COALESCE(t.user_id, ''), '\n') \
             FROM tool_access_rules t WHERE t.gateway_id = g.id) AS tool_access, g.catalog_sharing, g.on_change, g.era, g.authorization_kind, \
             g.static_header_name, g.static_header, g.static_header_key_id, g.static_header_fingerprint, \
             g.client_certificate, g.client_certificate_key_id, g.client_certificate_fingerprint, \
             g.client_certificate_subject, g.client_certificate_ends_at, \
             g.grant_type, g.identity_provider_id, g.authorization_url, g.token_url, g.revocation_url, g.issuer, g.iss_promised, g.resource, g.audience, \
             g.scopes, g.authorize_params, g.scope_ceiling, g.refused_scopes, g.facts, g.provider_template, g.keep_alive, \
             g.registration_problem, g.registration_problem_since, g.former_issuer, g.created_at, g.updated_at, g.version, ",
            $crate::client_registration::registration_columns!(),
            " FROM gateways g LEFT JOIN client_registrations r ON r.id = g.client_registration_id"
        )
    };
}
pub(crate) use select_gateways;

impl GatewayRow {
    pub(crate) fn into_gateway(mut self) -> Result<Gateway, StorageError> {
        let id = std::mem::take(&mut self.id);
        let row = RowName { table: "gateways", id: &id };
        Ok(Gateway {
            id: row.parse("id", &id)?,
            slug: Slug::parse(&self.slug).map_err(|error| row.corrupt("slug", error))?,
            name: std::mem::take(&mut self.name),
            url: row.parse("url", &self.url)?,
            state: row.word("state", &self.state)?,
            access: access_list::of_columns(
                row,
                &self.access,
                (self.access_groups.as_deref(), self.access_users.as_deref()),
            )?,
            tool_access: tool_access::of_column(row, self.tool_access.as_deref())?,
            catalog_sharing: row.word("catalog_sharing", &self.catalog_sharing)?,
            on_change: row.word("on_change", &self.on_change)?,
            era: row.word("era", &self.era)?,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            version: self.version,
            client_certificate: self.client_certificate(row)?,
            authorization: match self.authorization_kind.as_str() {
                "none" => GatewayAuthorization::None,
                "static_header" => GatewayAuthorization::StaticHeader(self.into_static_header(row)?),
                "oauth" => GatewayAuthorization::OAuth(Box::new(self.into_settings(row)?)),
                _ => return Err(row.corrupt("authorization_kind", "no such kind of authorization")),
            },
        })
    }

    fn client_certificate(&mut self, row: RowName<'_>) -> Result<Option<ClientCertificate>, StorageError> {
        let sealed = row.sealed(
            "client_certificate",
            self.client_certificate.take(),
            self.client_certificate_key_id.take(),
        )?;
        let Some(sealed) = sealed else { return Ok(None) };
        let fingerprint =
            row.required("client_certificate_fingerprint", self.client_certificate_fingerprint.take())?;
        let ends_at = row.required("client_certificate_ends_at", self.client_certificate_ends_at)?;
        Ok(Some(ClientCertificate {
            sealed,
            fingerprint: Fingerprint(fingerprint),
            subject: self.client_certificate_subject.take().unwrap_or_default(),
            ends_at: Timestamp::from_millis(ends_at),
        }))
    }

    fn into_static_header(self, row: RowName<'_>) -> Result<StaticHeader, StorageError> {
        let value = row.sealed("static_header", self.static_header, self.static_header_key_id)?;
        let fingerprint = row.required("static_header_fingerprint", self.static_header_fingerprint)?;
        Ok(StaticHeader {
            name: row.required("static_header_name", self.static_header_name)?,
            value: row.required("static_header", value)?,
            fingerprint: Fingerprint(fingerprint),
        })
    }

    fn into_settings(self, row: RowName<'_>) -> Result<OAuthSettings, StorageError> {
        let registration_problem = self.registration_problem(row)?;
        let grant_type = row.word("grant_type", &self.grant_type)?;
        if grant_type == GrantType::AuthorizationCode {
            row.required("authorization_url", self.authorization_url.as_ref())?;
        }
        let token_url = row.required("token_url", self.token_url)?;
        Ok(OAuthSettings {
            grant_type,
            identity_provider: row
                .parse_optional("identity_provider_id", self.identity_provider_id.as_deref())?,
            authorization_url: row.parse_optional("authorization_url", self.authorization_url.as_deref())?,
            token_url: row.parse("token_url", &token_url)?,
            revocation_url: row.parse_optional("revocation_url", self.revocation_url.as_deref())?,
            issuer: self.issuer,
            iss_promised: self.iss_promised,
            resource: self.resource,
            audience: self.audience,
            scopes: row.json("scopes", &self.scopes)?,
            authorize_params: row.json("authorize_params", &self.authorize_params)?,
            scope_ceiling: row.json("scope_ceiling", &self.scope_ceiling)?,
            refused_scopes: row.json("refused_scopes", &self.refused_scopes)?,
            facts: row.json("facts", &self.facts)?,
            template: self
                .provider_template
                .as_deref()
                .map(|template| row.json("provider_template", template))
                .transpose()?,
            keep_alive: self.keep_alive,
            registration: self.registration.into_registration(row)?,
            registration_problem,
            former_issuer: self.former_issuer,
        })
    }

    fn registration_problem(&self, row: RowName<'_>) -> Result<Option<RegistrationProblem>, StorageError> {
        let Some(code) = &self.registration_problem else { return Ok(None) };
        let since = row.required("registration_problem_since", self.registration_problem_since)?;
        Ok(Some(RegistrationProblem { code: code.clone(), since: Timestamp::from_millis(since) }))
    }
}
