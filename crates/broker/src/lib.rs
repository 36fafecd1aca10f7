//! Use cases. The broker turns (user, gateway) into a valid access token now, or into "must authorize".
//!
//! There is one function that redeems a refresh token (`refresh`), for every path, and one that uses
//! any secret (`secret`), which first compares the fingerprint the secret was given for. Pages, REST
//! and MCP reach the database through here, with a [`Caller`] in hand.

mod access;
mod access_list;
mod account;
mod api_token;
mod attempt;
mod attempt_step;
mod audit;
mod audit_signature;
mod audit_sweep;
mod audit_verify;
mod authorize;
mod browser_session;
mod bulk;
mod cache;
mod callback;
mod callback_problem;
mod caller;
mod catalog_change;
mod checked_facts;
mod circuit;
mod cleanup;
mod cleanup_pace;
mod cleanup_report;
mod cleanup_schedule;
mod cleanup_work;
mod client_certificate;
mod client_metadata;
mod client_registration;
mod connect;
mod connection;
mod deposit;
mod directory;
mod error;
mod exchange_check;
mod exchanged_grant;
mod fresh_login;
mod gateway;
mod gateway_check;
mod gateway_discovery;
mod gateway_input;
mod grant;
mod grant_list;
mod group;
mod identity_provider;
mod issuer_change;
mod keys;
mod last_used;
mod lease;
mod login;
mod metadata_check;
mod notice;
mod outage;
mod own_client_check;
mod provider_template;
mod provider_told;
mod reach;
mod refresh;
mod refresh_attempt;
mod refresh_due;
mod refresh_failure;
mod refresh_now;
mod refresh_verdict;
mod registration_removal;
mod reseal;
mod revoke;
mod role;
mod second_factor;
mod secret;
mod service_grant;
mod setup;
mod state;
mod step_up;
mod tally;
mod test_login;
mod throttle;
mod thrown_away;
mod tool_access;
mod user;
mod virtual_server;

pub use access::{Access, UpstreamHeader, UsedToken};
pub use api_token::{CreatedApiToken, NewApiToken};
pub use attempt::AttemptDetails;
pub use audit::AuditExport;
pub use audit_verify::{AuditEvidence, AuditProblem, AuditVerdict};
pub use authorize::{BeganAuthorization, authorization_cookie_name};
pub use browser_session::SignedIn;
pub use bulk::{BulkOrder, BulkPreview};
pub use callback::{Callback, Finished};
pub use callback_problem::CallbackProblem;
pub use caller::{Caller, Credential};
pub use catalog_change::CatalogDifference;
pub use cleanup::{CleanupOrder, CleanupOverview, StartedCleanup};
pub use client_certificate::CertificateEnd;
pub use client_metadata::CLIENT_METADATA_PATH;
pub use connect::{ConnectAsk, ConnectLink, ConnectPage};
pub use connection::{Connection, ConnectionStatus};
pub use deposit::{Deposit, DepositPlace};
pub use error::BrokerError;
pub use gateway::UpdatedGateway;
pub use gateway_check::{CheckFinding, CheckVerdict, GatewayCheck};
pub use gateway_discovery::{AskedUpstream, DiscoveredGateway};
pub use gateway_input::{
    AuthorizationInput, ClientCertificateInput, ClientInput, DiscoverInput, Edit, GatewayInput, OAuthInput,
    TemplateChoice,
};
pub use grant_list::{EndedDetails, GrantDetails};
pub use keys::{KeyReport, KeyStatus, Retirement, Rotation};
pub use login::{Login, SECOND_STEP_LIFETIME, SecondStep, SignIn};
pub use outage::ProviderOutage;
pub use refresh_now::RefreshedNow;
pub use reseal::{Reseal, ResealProgress};
pub use second_factor::{SecondFactorSetup, SecondFactorStatus};
pub use setup::NewPerson;
pub use step_up::{StepUp, wanted_scopes};
pub use user::{NewUser, UserEdit};
pub use virtual_server::VirtualServerInput;

/// The hash under which a random token of ours is stored.
pub use doorward_vault::hash_token;

/// The header by which a request shows that its token is ours (RFC 9449).
pub use doorward_oauth::DPOP;

use cache::Caches;
use doorward_domain::{Change, Clock, Entropy, GatewayId, Policy, UserId};
use doorward_oauth::{OAuthClient, ProviderTemplates};
use doorward_storage::Storage;
use doorward_vault::{RingFile, Vault};
use std::sync::{Arc, RwLock};
use url::Url;

/// What a broker is made of.
pub struct BrokerParts {
    pub storage: Storage,
    pub vault: Vault,
    /// Where the ring is kept that Doorward generated; none for a ring that is given by a setting.
    pub ring_file: Option<RingFile>,
    pub oauth: OAuthClient,
    pub templates: ProviderTemplates,
    pub clock: Clock,
    pub entropy: Entropy,
    pub policy: Policy,
    /// The only source of redirect and connect URLs.
    pub public_url: Url,
    /// Where our client ID metadata document is, if not under the public URL.
    pub client_metadata_url: Option<Url>,
}

/// Called when a user has authorized a gateway.
type ConnectedListener = Box<dyn Fn(UserId, GatewayId) + Send + Sync>;

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    parts: Arc<BrokerParts>,
    caches: Arc<Caches>,
    flights: refresh::Flights,
    weather: Arc<outage::Weather>,
    throttle: Arc<throttle::LoginThrottle>,
    key_turns: Arc<keys::KeyTurns>,
    last_used: Arc<last_used::LastUsed>,
    counted: Arc<tally::Counted>,
    unanswered: Arc<reach::Unanswered>,
    cleanup: Arc<cleanup_schedule::CleanupWatch>,
    grant_counts: Arc<grant_list::SharedCounts>,
    issuers_asked: Arc<issuer_change::AskedLately>,
    service_turns: service_grant::Turns,
    refused_exchanges: exchanged_grant::RefusedExchanges,
    notices: Arc<tokio::sync::Mutex<doorward_storage::LeaseWatch>>,
    connected: Arc<RwLock<Vec<ConnectedListener>>>,
    /// Notified when grants have ended, so that their providers are told at once.
    ended: Arc<tokio::sync::Notify>,
    /// This process's name as a lease holder.
    holder: Arc<str>,
}

impl Broker {
    /// A broker whose caches hang on the storage's change feed.
    pub fn new(parts: BrokerParts) -> Self {
        let caches = Arc::new(Caches::default());
        parts.storage.set_expiring_soon(parts.policy.expiring_soon);
        let listening = Arc::clone(&caches);
        let ended = Arc::new(tokio::sync::Notify::new());
        let telling = Arc::clone(&ended);
        parts.storage.on_change(Box::new(move |change| {
            listening.apply(change);
            if let Change::GrantEnded { .. } | Change::ServiceGrantEnded { .. } = change {
                telling.notify_one();
            }
        }));
        Self {
            holder: parts.entropy.token().into(),
            parts: Arc::new(parts),
            caches,
            flights: refresh::Flights::default(),
            weather: Arc::default(),
            throttle: Arc::default(),
            key_turns: Arc::default(),
            last_used: Arc::default(),
            counted: Arc::default(),
            unanswered: Arc::default(),
            cleanup: Arc::default(),
            grant_counts: Arc::default(),
            issuers_asked: Arc::default(),
            service_turns: service_grant::Turns::default(),
            refused_exchanges: exchanged_grant::RefusedExchanges::default(),
            notices: Arc::default(),
            connected: Arc::default(),
            ended,
        }
    }

    /// The only source of redirect and connect URLs.
    pub fn public_url(&self) -> &Url {
        &self.parts.public_url
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// Calls `listener` whenever a user has authorized a gateway.
    pub fn on_connected(&self, listener: ConnectedListener) {
        self.connected.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(listener);
    }

    fn storage(&self) -> &Storage {
        &self.parts.storage
    }

    /// How long things are kept, and what counts as soon.
    pub fn policy(&self) -> &Policy {
        &self.parts.policy
    }

    fn now(&self) -> doorward_domain::Timestamp {
        self.parts.clock.now()
    }

    /// Tells whoever reads catalogs. Nothing is to be read at an identity provider, but where it opens the door.
    async fn tell_connected(&self, user: UserId, gateway: GatewayId) -> Result<(), BrokerError> {
        let directory = self.directory().await?;
        let opened: Vec<_> = directory.relying_on(gateway).map(|relying| relying.id).collect();
        let opened = if opened.is_empty() { vec![gateway] } else { opened };
        opened.into_iter().for_each(|gateway| self.tell_listeners(user, gateway));
        Ok(())
    }

    fn tell_listeners(&self, user: UserId, gateway: GatewayId) {
        for listener in &*self.connected.read().unwrap_or_else(std::sync::PoisonError::into_inner) {
            listener(user, gateway);
        }
    }
}
