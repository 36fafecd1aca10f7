//! The weather at the providers: whether a request may leave, and what its outcome says about whom. One
//! circuit per provider for blips, whoever's grants they strike, and one per gateway for a registration
//! that the provider refuses. While one is open, grants are left as they are and living tokens are served.

use crate::circuit::{Admitted, Circuits, Failed, Open};
use crate::{Broker, BrokerError};
use doorward_domain::{Actor, Gateway, GatewayId, NewAuditEvent, OAuthSettings, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many blips in a row, across grants, and the provider counts as down.
const BLIPS: u32 = 5;
/// So many refreshes are under way at one provider at a time.
const AT_ONCE: usize = 16;
/// When a provider is back, whoever was turned away comes back spread over this time.
const SPREAD: Duration = Duration::from_secs(10);

/// What this process knows of its providers.
pub(crate) struct Weather {
    providers: Circuits<String>,
    registrations: Circuits<GatewayId>,
    turns: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Default for Weather {
    fn default() -> Self {
        Self { providers: Circuits::new(BLIPS), registrations: Circuits::new(1), turns: Mutex::default() }
    }
}

/// A provider that counts as down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOutage {
    /// The issuer, or the token endpoint's origin.
    pub provider: String,
    pub since: Timestamp,
    /// Until then no request leaves; the first one after it is the probe.
    pub next_probe: Timestamp,
}

/// Why no request leaves just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    Provider(Open),
    Registration(Open),
}

/// A request that may leave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leave {
    provider: Admitted,
    /// With a registration that was refused the last time.
    registration: Option<Admitted>,
}

impl Outage {
    /// What the user is told.
    pub(crate) fn problem(self, gateway: &Gateway) -> String {
        let name = &gateway.name;
        match self {
            Self::Provider(open) => format!(
                "The provider behind {name} has not answered since {}; your authorization is kept, try again shortly.",
                minute(open.since)
            ),
            Self::Registration(_) => format!(
                "The provider behind {name} refuses Doorward itself: an administrator has to mend the gateway. \
                 Your authorization is kept."
            ),
        }
    }

    pub(crate) fn next_probe(self) -> Timestamp {
        match self {
            Self::Provider(open) | Self::Registration(open) => open.next_probe,
        }
    }
}

impl Broker {
    /// The providers that count as down in this process.
    pub fn circuits(&self) -> Vec<ProviderOutage> {
        let mut outages: Vec<_> = self
            .weather
            .providers
            .open()
            .into_iter()
            .map(|(provider, open)| ProviderOutage {
                provider,
                since: open.since,
                next_probe: open.next_probe,
            })
            .collect();
        outages.sort_by(|a, b| a.provider.cmp(&b.provider));
        outages
    }

    /// Waits for a turn at a provider, so that no crowd meets it at once.
    pub(crate) async fn turn_at(&self, provider: &str) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut known = self.weather.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let turns = known.entry(provider.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
            Arc::clone(turns)
        };
        // Nobody closes it.
        turns.acquire_owned().await.ok()
    }

    /// What stands in the way of a request, if something does.
    pub(crate) async fn outage_at(
        &self,
        gateway: &Gateway,
        settings: &OAuthSettings,
    ) -> Result<Option<Outage>, BrokerError> {
        let now = self.now();
        if let Some(open) = self.weather.providers.in_the_way(&settings.issuer_key(), now) {
            return Ok(Some(Outage::Provider(open)));
        }
        if !self.is_flagged(gateway.id).await? {
            return Ok(None);
        }
        Ok(self.weather.registrations.in_the_way(&gateway.id, now).map(Outage::Registration))
    }

    /// Lets one request leave, or says why it may not.
    pub(crate) async fn admit(
        &self,
        gateway: &Gateway,
        settings: &OAuthSettings,
    ) -> Result<Result<Leave, Outage>, BrokerError> {
        let (now, entropy) = (self.now(), self.parts.entropy);
        let registration = if self.is_flagged(gateway.id).await? {
            match self.weather.registrations.admit(&gateway.id, now, entropy) {
                Ok(admitted) => Some(admitted),
                Err(open) => return Ok(Err(Outage::Registration(open))),
            }
        } else {
            // An edit of the gateway forgets the refusal: the next request tells whether it still stands.
            self.weather.registrations.succeeded(&gateway.id);
            None
        };
        let provider = self.weather.providers.admit(&settings.issuer_key(), now, entropy);
        Ok(provider.map(|provider| Leave { provider, registration }).map_err(Outage::Provider))
    }

    /// The provider answered, whatever it said.
    pub(crate) async fn provider_answered(&self, settings: &OAuthSettings) {
        let provider = settings.issuer_key();
        if let Some(open) = self.weather.providers.succeeded(&provider) {
            gauge(&provider, false);
            tracing::info!(provider, since = %open.since, "a provider answers again");
            self.note_weather("circuit.close", &provider, open.since).await;
        }
    }

    /// The provider did not answer, or only that it cannot. Gives the outage, if there was one already.
    pub(crate) async fn provider_failed(
        &self,
        settings: &OAuthSettings,
        leave: Leave,
        retry_after: Option<Duration>,
    ) -> Option<Outage> {
        let provider = settings.issuer_key();
        let (now, entropy) = (self.now(), self.parts.entropy);
        match self.weather.providers.failed(&provider, leave.provider, retry_after, now, entropy) {
            Failed::Blip => None,
            Failed::Opened(open) => {
                gauge(&provider, true);
                tracing::warn!(provider, "a provider counts as down");
                self.note_weather("circuit.open", &provider, open.since).await;
                None
            }
            Failed::StillOpen(open) => Some(Outage::Provider(open)),
        }
    }

    /// The provider refused our registration: the gateway is flagged, once, and from then on probed only.
    pub(crate) async fn registration_refused(
        &self,
        gateway: &Gateway,
        leave: Leave,
        code: &str,
    ) -> Result<(), BrokerError> {
        let event = NewAuditEvent::new(Actor::System, "gateway.registration_refused")
            .subject(gateway.id)
            .detail("gateway", &gateway.slug)
            .detail("code", code);
        self.storage().flag_registration(gateway.id, code, event).await?;
        let admitted = leave.registration.unwrap_or(leave.provider);
        let (now, entropy) = (self.now(), self.parts.entropy);
        self.weather.registrations.failed(&gateway.id, admitted, None, now, entropy);
        Ok(())
    }

    /// The provider gave a token: what was wrong with the registration is mended.
    pub(crate) async fn registration_works(&self, gateway: &Gateway) -> Result<(), BrokerError> {
        self.weather.registrations.succeeded(&gateway.id);
        if !self.is_flagged(gateway.id).await? {
            return Ok(());
        }
        let event = NewAuditEvent::new(Actor::System, "gateway.registration_accepted")
            .subject(gateway.id)
            .detail("gateway", &gateway.slug);
        self.storage().clear_registration_problem(gateway.id, event).await?;
        Ok(())
    }

    /// Forgets the weather at providers that no gateway stands for any more (R15).
    pub(crate) async fn forget_weather(&self) -> Result<(), BrokerError> {
        let directory = self.directory().await?;
        let is_there = |provider: &str| {
            directory.all().any(|gateway| gateway.oauth().is_some_and(|oauth| oauth.issuer_key() == provider))
        };
        for gone in self.weather.providers.keep(|provider| is_there(provider)) {
            gauge(&gone, false);
        }
        self.weather.registrations.keep(|id| directory.get(*id).is_some());
        self.weather
            .turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|provider, _| is_there(provider));
        Ok(())
    }

    /// How long whoever is turned away should wait.
    pub(crate) fn wait_until(&self, moment: Timestamp) -> Duration {
        let [spread] = self.parts.entropy.bytes::<1>();
        self.now().until(moment) + SPREAD.mul_f64(f64::from(spread) / 256.0)
    }

    /// Whether the provider refuses the gateway's registration, by what is stored.
    async fn is_flagged(&self, id: GatewayId) -> Result<bool, BrokerError> {
        let directory = self.directory().await?;
        let settings = directory.get(id).and_then(|gateway| gateway.oauth());
        Ok(settings.is_some_and(|settings| settings.registration_problem.is_some()))
    }

    /// The trail tells of the weather, but a refresh does not fail for it.
    async fn note_weather(&self, action: &'static str, provider: &str, since: Timestamp) {
        let event =
            NewAuditEvent::new(Actor::System, action).detail("provider", provider).detail("since", since);
        if let Err(error) = self.storage().record(event).await {
            tracing::warn!(%error, action, provider, "an audit event could not be written");
        }
    }
}

fn gauge(provider: &str, open: bool) {
    metrics::gauge!("doorward_circuit_open", "provider" => provider.to_owned())
        .set(f64::from(u8::from(open)));
}

/// A moment to the minute, e.g. `2027-01-15 08:00 UTC`.
fn minute(moment: Timestamp) -> String {
    let text = moment.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_to_the_minute() {
        assert_eq!(minute(Timestamp::from_millis(1_800_000_000_000)), "2027-01-15 08:00 UTC");
    }
}
