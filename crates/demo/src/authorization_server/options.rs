//! How an authorization server is set up: who may log in, how long tokens live, how they renew.

use doorward_domain::{Clock, Entropy};

/// Somebody who can log in at the demo authorization server.
#[derive(Clone)]
pub struct Account {
    /// The login name, which is also the `sub` of an ID token.
    pub name: String,
    pub email: String,
    pub password: String,
}

impl Account {
    /// An account `name@demo.example` with a password that nobody can guess.
    pub fn with_random_password(name: &str, entropy: Entropy) -> Self {
        let password = entropy.token().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        Self { name: name.to_owned(), email: format!("{name}@demo.example"), password }
    }
}

/// What an authorization server is started with.
#[derive(Clone)]
pub struct AuthorizationServerOptions {
    /// How long an access token lives, and what `expires_in` says.
    pub access_token_seconds: u64,
    /// Whether the token endpoint hands out refresh tokens at all.
    pub refresh_tokens: bool,
    /// A refresh hands out a new refresh token and spends the old one; otherwise the answer names none
    /// and the old one stays (as Google does).
    pub rotate_refresh_tokens: bool,
    /// A spent refresh token that comes back kills every token of its family (RFC 9700 §4.14.2).
    pub reuse_detection: bool,
    /// Whether it announces that a client id may be the URL of a metadata document. (It opens none.)
    pub client_id_metadata_documents: bool,
    /// The secret of the preregistered client.
    pub client_secret: String,
    pub accounts: Vec<Account>,
    pub clock: Clock,
}

impl Default for AuthorizationServerOptions {
    /// One hour, rotation with reuse detection, and alice and bob with random passwords.
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
            refresh_tokens: true,
            rotate_refresh_tokens: true,
            reuse_detection: true,
            client_id_metadata_documents: false,
            client_secret: Entropy.token(),
            accounts: ["alice", "bob"].map(|name| Account::with_random_password(name, Entropy)).into(),
            clock: Clock::System,
        }
    }
}
