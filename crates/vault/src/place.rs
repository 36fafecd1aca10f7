//! Where sealed values live. A place is associated data: a value copied to another row, column or
//! table does not open. This file lists every sealed column there is; rotation walks that list.

use doorward_domain::{AuthorizationRequestId, ClientRegistrationId, GatewayId, GrantId, UserId};

/// `table/column/row id` of one sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    table: &'static str,
    column: &'static str,
    row: String,
}

impl Place {
    /// Table and column of every sealed value in the database. Those of the two outboxes
    /// (`provider_revocations`, `registration_removals`) hold bytes that keep the place they were sealed for: their
    /// grant's tokens, their registration's secret and handle.
    pub const ALL_COLUMNS: [(&'static str, &'static str); 14] = [
        ("grants", "access_token"),
        ("grants", "refresh_token"),
        ("grants", "id_token"),
        ("client_registrations", "client_secret"),
        ("client_registrations", "handle"),
        ("client_registrations", "dpop_key"),
        ("gateways", "static_header"),
        ("gateways", "client_certificate"),
        ("authorization_requests", "pkce_verifier"),
        ("second_factors", "secret"),
        ("provider_revocations", "access_token"),
        ("provider_revocations", "refresh_token"),
        ("provider_revocations", "client_secret"),
        ("registration_removals", "handle"),
    ];

    fn new(table: &'static str, column: &'static str, row: &impl ToString) -> Self {
        Self { table, column, row: row.to_string() }
    }

    /// A grant's access token.
    pub fn grant_access_token(id: GrantId) -> Self {
        Self::new("grants", "access_token", &id)
    }

    /// A grant's refresh token.
    pub fn grant_refresh_token(id: GrantId) -> Self {
        Self::new("grants", "refresh_token", &id)
    }

    /// A grant's ID token.
    pub fn grant_id_token(id: GrantId) -> Self {
        Self::new("grants", "id_token", &id)
    }

    /// Our client secret at an authorization server.
    pub fn client_secret(id: ClientRegistrationId) -> Self {
        Self::new("client_registrations", "client_secret", &id)
    }

    /// By which a dynamic registration is removed.
    pub fn registration_handle(id: ClientRegistrationId) -> Self {
        Self::new("client_registrations", "handle", &id)
    }

    /// The key that a client's tokens are bound to.
    pub fn dpop_key(id: ClientRegistrationId) -> Self {
        Self::new("client_registrations", "dpop_key", &id)
    }

    /// The value of a gateway's static header.
    pub fn static_header(id: GatewayId) -> Self {
        Self::new("gateways", "static_header", &id)
    }

    /// A gateway's client certificate and its key.
    pub fn client_certificate(id: GatewayId) -> Self {
        Self::new("gateways", "client_certificate", &id)
    }

    /// The PKCE verifier of a pending browser round trip.
    pub fn pkce_verifier(id: AuthorizationRequestId) -> Self {
        Self::new("authorization_requests", "pkce_verifier", &id)
    }

    /// What a person's authenticator app and we share.
    pub fn totp_secret(id: UserId) -> Self {
        Self::new("second_factors", "secret", &id)
    }

    /// The place for which the value in a listed column was sealed; none for a column that is not listed. `row`
    /// is the id of the row it was first sealed in, which for an outbox is its home's.
    pub fn of_row(table: &str, column: &str, row: &str) -> Option<Self> {
        let (table, column) = *Self::ALL_COLUMNS.iter().find(|listed| **listed == (table, column))?;
        let home = match (table, column) {
            ("provider_revocations", "client_secret") | ("registration_removals", _) => {
                "client_registrations"
            }
            ("provider_revocations", _) => "grants",
            _ => table,
        };
        Some(Self::new(home, column, &row))
    }

    /// The table and the column, as [`Place::ALL_COLUMNS`] lists them.
    pub fn column(&self) -> (&'static str, &'static str) {
        (self.table, self.column)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.table, self.column, self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_list_of_sealed_columns_is_what_the_constructors_make() {
        let id = Uuid::from_u128(1);
        let places = [
            Place::grant_access_token(id.into()),
            Place::grant_refresh_token(id.into()),
            Place::grant_id_token(id.into()),
            Place::client_secret(id.into()),
            Place::registration_handle(id.into()),
            Place::dpop_key(id.into()),
            Place::static_header(id.into()),
            Place::client_certificate(id.into()),
            Place::pkce_verifier(id.into()),
            Place::totp_secret(id.into()),
        ];
        // What waits in the outbox is sealed as it was in its first place: a grant's tokens, a registration's secret.
        assert_eq!(places.each_ref().map(Place::column), Place::ALL_COLUMNS[..10]);
        assert_eq!(places[0].to_string(), format!("grants/access_token/{id}"));
        let of_row = |(table, column)| Place::of_row(table, column, &id.to_string());
        let homes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 3, 4].map(|home: usize| Some(places[home].clone()));
        assert_eq!(Place::ALL_COLUMNS.map(of_row), homes);
        assert_eq!(of_row(("users", "email")), None);
    }
}
