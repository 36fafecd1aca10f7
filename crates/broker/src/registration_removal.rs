//! Dynamic registrations that nobody uses any more are removed at their servers (RFC 7592 §2.3): in the background, again
//! and again for three days, each by one process at a time.

use crate::circuit::jittered;
use crate::provider_told::TRIED_FOR;
use crate::{Broker, BrokerError};
use doorward_domain::{Actor, NewAuditEvent, RegistrationRemoval};
use doorward_oauth::RemovedRegistration;
use std::time::Duration;

/// Taken up at once.
const BATCH: u32 = 16;

/// For so long a removal belongs to whoever took it up: longer than a batch takes at its slowest.
const LEASE: Duration = Duration::from_secs(15 * 60);

/// The first pause between two attempts; it doubles.
const PAUSE: Duration = Duration::from_secs(60);

impl Broker {
    /// Removes what is due and what no revocation in the outbox needs any more.
    pub(crate) async fn remove_registrations(&self) -> Result<(), BrokerError> {
        while self.storage().registration_removals_due().await? {
            let taken = self.storage().take_registration_removals(BATCH, LEASE).await?;
            if taken.is_empty() {
                break;
            }
            for removal in taken {
                self.remove_registration(&removal).await?;
            }
        }
        Ok(())
    }

    async fn remove_registration(&self, removal: &RegistrationRemoval) -> Result<(), BrokerError> {
        let removed = match self.open_handle(removal.registration_id, &removal.handle) {
            Ok(handle) => self.parts.oauth.remove_registration(&handle).await,
            Err(error) => {
                RemovedRegistration::Refused { why: format!("its handle could not be opened: {error}") }
            }
        };
        let (outcome, why) = match removed {
            RemovedRegistration::Removed => ("removed", None),
            RemovedRegistration::AlreadyGone => ("already_gone", None),
            RemovedRegistration::Refused { why } => ("refused", Some(why)),
            RemovedRegistration::Later { why } => {
                if removal.created_at.until(self.now()) < TRIED_FOR {
                    let doubled = PAUSE.saturating_mul(1 << (removal.attempts - 1).clamp(0, 8));
                    let until = self.now().plus(jittered(doubled, self.parts.entropy));
                    return Ok(self.storage().put_off_registration_removal(removal, until).await?);
                }
                ("gave_up", Some(why))
            }
        };
        let event = NewAuditEvent::new(Actor::System, "gateway.registration_removed")
            .detail("gateway", &removal.gateway_slug)
            .detail("issuer", &removal.issuer)
            .detail("client_id", &removal.client_id)
            .detail("outcome", outcome);
        let event = match why {
            Some(why) => event.detail("answer", why),
            None => event,
        };
        Ok(self.storage().finish_registration_removal(removal, event).await?)
    }
}
