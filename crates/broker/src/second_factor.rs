//! The second step of a sign-in, and what a person does about it: set it up, renew its recovery codes, remove it.
//! Nobody else can remove it but by a reset link, which ends that person's sessions.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::second_factor::RECOVERY_CODES;
use doorward_domain::{RecoveryCode, SecondFactor, Timestamp, TokenHash, TotpSecret, User, UserId};
use doorward_vault::Place;
use secrecy::ExposeSecret;

/// What a person has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactorStatus {
    /// Since when its codes are asked for; none: they are not.
    pub since: Option<Timestamp>,
    pub recovery_codes_left: u64,
}

/// What an authenticator app needs to be told, shown to the person alone.
#[derive(Debug)]
pub struct SecondFactorSetup {
    pub secret: TotpSecret,
    /// The same as a QR code has it: `otpauth://totp/...`.
    pub uri: String,
}

impl Broker {
    /// What the caller has.
    pub async fn second_factor(&self, caller: &Caller) -> Result<SecondFactorStatus, BrokerError> {
        let user = caller.user.id;
        let factor = self.storage().second_factor(user).await?.filter(|factor| factor.confirmed);
        let recovery_codes_left = self.storage().recovery_codes_left(user).await?;
        Ok(SecondFactorStatus { since: factor.map(|factor| factor.created_at), recovery_codes_left })
    }

    /// Makes a secret for the caller's app. It asks nobody for anything until a code of it is shown.
    pub async fn begin_second_factor(&self, caller: &Caller) -> Result<SecondFactorSetup, BrokerError> {
        self.require_fresh_login(caller)?;
        let user = caller.user.id;
        let secret = doorward_vault::new_totp_secret(self.parts.entropy);
        let factor = SecondFactor {
            user_id: user,
            secret: self.parts.vault.seal(&Place::totp_secret(user), &secret),
            last_step: 0,
            confirmed: false,
            created_at: self.now(),
        };
        let event = caller.event("second_factor.begin").concerning(user);
        if !self.storage().begin_second_factor(&factor, event).await? {
            return Err(BrokerError::conflict("second factor", "there is one already: remove it first"));
        }
        self.setup_of(caller, secret)
    }

    /// What the caller is setting up at the moment.
    pub async fn pending_second_factor(&self, caller: &Caller) -> Result<SecondFactorSetup, BrokerError> {
        self.require_fresh_login(caller)?;
        let factor = self.pending(caller.user.id).await?;
        self.setup_of(caller, self.totp_secret(&factor)?)
    }

    /// Shows a code of the app, so that it is sure to work; from now on the sign-in asks for one. Gives the recovery
    /// codes, this once.
    pub async fn confirm_second_factor(
        &self,
        caller: &Caller,
        code: &str,
    ) -> Result<Vec<RecoveryCode>, BrokerError> {
        self.require_fresh_login(caller)?;
        let factor = self.pending(caller.user.id).await?;
        let step = self.step_of(&factor, code)?.ok_or_else(|| {
            BrokerError::invalid("code", "it is not the code that the app shows now: is its clock right?")
        })?;
        let (codes, hashes) = self.recovery_codes();
        let event = caller.event("second_factor.set_up").concerning(factor.user_id);
        if self
            .storage()
            .confirm_second_factor(factor.user_id, factor.created_at, step, &hashes, event)
            .await?
        {
            return Ok(codes);
        }
        Err(nothing_begun())
    }

    /// New recovery codes for the caller, shown this once; the old ones work no more.
    pub async fn renew_recovery_codes(&self, caller: &Caller) -> Result<Vec<RecoveryCode>, BrokerError> {
        self.require_fresh_login(caller)?;
        let user = caller.user.id;
        let factor = self.storage().second_factor(user).await?;
        if !factor.is_some_and(|factor| factor.confirmed) {
            return Err(BrokerError::NotFound { what: "second factor" });
        }
        let (codes, hashes) = self.recovery_codes();
        let event = caller.event("second_factor.new_recovery_codes").concerning(user);
        self.storage().replace_recovery_codes(user, &hashes, event).await?;
        Ok(codes)
    }

    /// Removes the caller's own.
    pub async fn remove_second_factor(&self, caller: &Caller) -> Result<(), BrokerError> {
        self.require_fresh_login(caller)?;
        let user = caller.user.id;
        let event = caller.event("second_factor.remove").concerning(user);
        if self.storage().remove_second_factor(user, event).await? {
            return Ok(());
        }
        Err(BrokerError::NotFound { what: "second factor" })
    }

    /// Whether what was typed is a code of the person's app that nobody has used, or one of their recovery codes.
    /// Either is used up by it.
    pub(crate) async fn use_code(
        &self,
        user: &User,
        typed: &str,
        address: Option<String>,
    ) -> Result<bool, BrokerError> {
        if let Some(hash) = doorward_vault::recovery_code_hash(typed) {
            let event = doorward_domain::NewAuditEvent::new(
                doorward_domain::Actor::User(user.id),
                "second_factor.recovery_code_used",
            );
            let event = event.concerning(user.id).from_address(address);
            return Ok(self.storage().use_recovery_code(user.id, hash, event).await?);
        }
        let factor = self.storage().second_factor(user.id).await?.filter(|factor| factor.confirmed);
        let Some(factor) = factor else { return Ok(false) };
        match self.step_of(&factor, typed)? {
            Some(step) => Ok(self.storage().use_second_factor_step(user.id, step).await?),
            None => Ok(false),
        }
    }

    async fn pending(&self, user: UserId) -> Result<SecondFactor, BrokerError> {
        let factor = self.storage().second_factor(user).await?;
        factor.filter(|factor| !factor.confirmed).ok_or_else(nothing_begun)
    }

    fn totp_secret(&self, factor: &SecondFactor) -> Result<TotpSecret, BrokerError> {
        Ok(self.parts.vault.open(&Place::totp_secret(factor.user_id), &factor.secret)?)
    }

    fn step_of(&self, factor: &SecondFactor, typed: &str) -> Result<Option<i64>, BrokerError> {
        let code: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
        let seconds = u64::try_from(self.now().millis() / 1_000).unwrap_or(0);
        Ok(doorward_vault::totp_step(&self.totp_secret(factor)?, &code, seconds))
    }

    fn setup_of(&self, caller: &Caller, secret: TotpSecret) -> Result<SecondFactorSetup, BrokerError> {
        let host = self.parts.public_url.host_str().unwrap_or_default();
        let uri = doorward_vault::totp_uri(&secret, &caller.user.email, &format!("Doorward {host}"));
        let uri = uri.ok_or_else(nothing_begun)?;
        Ok(SecondFactorSetup { secret, uri })
    }

    fn recovery_codes(&self) -> (Vec<RecoveryCode>, Vec<TokenHash>) {
        let fresh = |_| doorward_vault::new_recovery_code(self.parts.entropy);
        (0..RECOVERY_CODES).map(fresh).unzip()
    }
}

/// What a person typed where a password or a code is asked for is kept like a password.
pub(crate) fn typed(shown: &doorward_domain::Password) -> &str {
    shown.expose_secret()
}

fn nothing_begun() -> BrokerError {
    BrokerError::conflict("second factor", "nothing is being set up: begin again")
}
