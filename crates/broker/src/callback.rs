//! Coming back from the provider: every answer ends on a page that says what happened and what to do.

use crate::attempt::Trail;
use crate::attempt_step::{account as account_fact, named};
use crate::callback_problem::CallbackProblem;
use crate::gateway_check::GatewayCheck;
use crate::grant::Consent;
use crate::refresh::interrupted;
use crate::test_login::tested;
use crate::{Broker, BrokerError, Caller};
use doorward_domain::{
    AttemptState, AttemptStep, AuthorizationCode, AuthorizationPurpose, AuthorizationRequest,
    ExchangeProblem, Gateway, GatewayState, Grant, GrantId, GrantOwner, PkceVerifier, ProviderAccount,
    SessionToken, StateToken, StepFact, StepKind, TokenHash, TokenSet, Words,
};
use doorward_storage::TakenAuthorizationRequest;
use doorward_vault::Place;
use std::sync::Arc;

/// The parameters of the redirect back to us (RFC 6749 §4.1.2, RFC 9207 §2).
#[derive(Debug, Default)]
pub struct Callback {
    pub state: Option<StateToken>,
    pub code: Option<AuthorizationCode>,
    pub error: Option<String>,
    pub error_description: Option<String>,
    pub iss: Option<String>,
}

/// How a round trip ended.
#[derive(Debug)]
pub enum Finished {
    Connected {
        gateway: Arc<Gateway>,
        grant: GrantId,
    },
    /// The user said no at the provider.
    Denied {
        gateway: Arc<Gateway>,
    },
    /// The user came back as another account than the one that is connected: that one is kept, and what the
    /// other brought is thrown away. The user may say that the other shall take its place.
    OtherAccount {
        gateway: Arc<Gateway>,
        kept: ProviderAccount,
        came: ProviderAccount,
    },
    /// It was a test login: what it brought was looked at and thrown away.
    Tested {
        gateway: Arc<Gateway>,
        check: GatewayCheck,
    },
    /// Nothing was stored.
    Refused {
        problem: CallbackProblem,
        /// What the flow inspector and the audit trail call it.
        reference: String,
    },
}

impl Broker {
    /// Redeems the code, once, if state, user, browser and issuer are those of the round trip.
    pub async fn finish_authorization(
        &self,
        caller: &Caller,
        callback: Callback,
        cookie: Option<SessionToken>,
    ) -> Result<Finished, BrokerError> {
        let trail = self.trail_of(caller, &callback).await?;
        let request = match self.take(caller, callback.state.as_ref(), cookie).await? {
            Ok(request) => request,
            Err(problem) => return self.refused(caller, trail, problem).await,
        };
        let Ok(gateway) = self.gateway(caller, request.gateway_id).await else {
            return self.refused(caller, trail, CallbackProblem::GatewayChanged).await;
        };
        match self.checked(&request, &gateway, callback) {
            Checked::Code(code) => {
                let (broker, caller) = (self.clone(), caller.clone());
                // Detached: a browser that hangs up must not stop a request that spends the code.
                let task =
                    tokio::spawn(
                        async move { broker.redeem(&caller, &request, gateway, &code, trail).await },
                    );
                task.await.unwrap_or_else(|_| Err(interrupted()))
            }
            Checked::Denied => {
                let step = self.step(StepKind::Denied);
                self.ended(caller, trail, step, AttemptState::Denied).await;
                Ok(Finished::Denied { gateway })
            }
            Checked::Problem(problem) => self.refused(caller, trail, problem).await,
        }
    }

    /// Consumes the round trip that a state belongs to. A stranger's or another browser's try consumes nothing.
    async fn take(
        &self,
        caller: &Caller,
        state: Option<&StateToken>,
        cookie: Option<SessionToken>,
    ) -> Result<Result<AuthorizationRequest, CallbackProblem>, BrokerError> {
        let Some(state) = state else { return Ok(Err(CallbackProblem::NoState)) };
        let state_hash = doorward_vault::hash_token(state);
        // No cookie is a cookie that matches nothing.
        let cookie_hash = cookie.as_ref().map_or(TokenHash([0; 32]), doorward_vault::hash_token);
        let taken = self
            .storage()
            .take_authorization_request(state_hash, cookie_hash, caller.user.id, self.now())
            .await?;
        Ok(match taken {
            TakenAuthorizationRequest::Taken(request) => Ok(request),
            TakenAuthorizationRequest::Unknown => Err(CallbackProblem::UnknownState),
            TakenAuthorizationRequest::Expired => Err(CallbackProblem::Expired),
            TakenAuthorizationRequest::OtherUser => Err(CallbackProblem::OtherUser),
            TakenAuthorizationRequest::OtherBrowser => Err(CallbackProblem::OtherBrowser),
        })
    }

    fn checked(&self, request: &AuthorizationRequest, gateway: &Gateway, callback: Callback) -> Checked {
        let received = callback.iss.as_deref();
        // RFC 9207 §2.4: compare before acting on anything else in the answer. Some servers leave a
        // promised `iss` out of an error; a denial is then shown, and nothing else is believed.
        let denied = callback.error.as_deref() == Some("access_denied");
        let promised = request.iss_promised && !(denied && received.is_none());
        if doorward_oauth::check_issuer(request.expected_issuer.as_deref(), promised, received).is_err() {
            return Checked::Problem(CallbackProblem::WrongIssuer);
        }
        if denied {
            return Checked::Denied;
        }
        if let Some(error) = callback.error {
            return Checked::Problem(CallbackProblem::ProviderError { code: error_code(&error) });
        }
        let same_place = gateway.fingerprint().as_ref() == Some(&request.fingerprint);
        if !same_place || gateway.state == GatewayState::Disabled {
            return Checked::Problem(CallbackProblem::GatewayChanged);
        }
        callback.code.map_or(Checked::Problem(CallbackProblem::NoCode), Checked::Code)
    }

    async fn redeem(
        &self,
        caller: &Caller,
        request: &AuthorizationRequest,
        gateway: Arc<Gateway>,
        code: &AuthorizationCode,
        mut trail: Trail,
    ) -> Result<Finished, BrokerError> {
        let Some(settings) = gateway.oauth() else {
            return self.refused(caller, trail, CallbackProblem::GatewayChanged).await;
        };
        let failed = |why: String| CallbackProblem::ExchangeFailed { why };
        let verifier: PkceVerifier =
            self.parts.vault.open(&Place::pkce_verifier(request.id), &request.pkce_verifier)?;
        let client = match self.open_client(&gateway, settings) {
            Ok(client) => client,
            Err(error) => {
                let problem = StepFact::ExchangeProblem(ExchangeProblem::SecretUnusable);
                trail.push(self.step(StepKind::NoTokens).with(problem));
                let problem = failed(format!("the client secret cannot be used: {error}"));
                return self.refused(caller, trail, problem).await;
            }
        };
        let owner = GrantOwner::User(caller.user.id);
        let before = self.storage().grant_of(owner, gateway.id).await?;
        trail.push(self.step_of_code_sent(settings));
        self.write_trail(caller, &mut trail, None).await;
        let exchanged = self
            .parts
            .oauth
            .exchange_code(settings, client.credentials(), &self.redirect_uri(), code, &verifier, self.now())
            .await;
        let tokens = match exchanged {
            Ok(tokens) => tokens,
            Err(error) => {
                trail.push(self.step_of_no_tokens(&error));
                return self.refused(caller, trail, failed(error.to_string())).await;
            }
        };
        trail.push(self.step_of_tokens(&tokens));
        let account = self.account_of(&gateway, settings, &tokens).await;
        trail.unless_none(self.step_of_account(settings, account.as_ref()));
        let id_token = self.kept_id_token(gateway.id, &tokens).await?;
        let tokens = TokenSet { account, id_token, ..tokens };
        if request.purpose == AuthorizationPurpose::Test {
            let thrown_away = self.throw_away(settings, client.credentials(), &tokens).await;
            let check = tested(request, settings, &tokens, thrown_away);
            let event = caller.event("gateway.test_login").subject(gateway.id).concerning(caller.user.id);
            let event = event.reference(&trail.reference).detail("passes", check.passes());
            self.storage().record(event).await?;
            let step = self.step(StepKind::Tested).with(StepFact::Passes(check.passes()));
            self.ended(caller, trail, step, AttemptState::Tested).await;
            return Ok(Finished::Tested { gateway, check });
        }
        if let Some((kept, came)) = other_account(request, before.as_ref(), &tokens) {
            let thrown_away = self.throw_away(settings, client.credentials(), &tokens).await;
            let event = caller.event("authorization.other_account").subject(gateway.id);
            let event = event.concerning(caller.user.id).reference(&trail.reference);
            let event = event.detail("kept", shown(&kept)).detail("came", shown(&came));
            self.storage().record(event.detail("tokens", thrown_away.words())).await?;
            let step = self.step(StepKind::OtherAccount).with(account_fact(&came));
            let step = step.with(StepFact::AccountBefore(named(&kept)));
            self.ended(caller, trail, step, AttemptState::OtherAccount).await;
            return Ok(Finished::OtherAccount { gateway, kept, came });
        }
        let stored =
            self.store_consent(caller, request, &gateway, &tokens, &trail.reference, before.clone()).await?;
        match stored {
            Consent::Stored(grant) => {
                metrics::counter!("doorward_authorizations_total", "outcome" => "connected").increment(1);
                let step = self.step_of_stored(grant, &tokens, before.as_ref());
                self.ended(caller, trail, step, AttemptState::Connected).await;
                self.tell_connected(caller.user.id, gateway.id).await?;
                Ok(Finished::Connected { gateway, grant })
            }
            Consent::GatewayGone => self.refused(caller, trail, CallbackProblem::GatewayChanged).await,
            Consent::EndedMeanwhile => self.refused(caller, trail, CallbackProblem::EndedMeanwhile).await,
        }
    }

    /// Writes the last step of a round trip.
    async fn ended(&self, caller: &Caller, mut trail: Trail, step: AttemptStep, state: AttemptState) {
        trail.push(step);
        self.write_trail(caller, &mut trail, Some(state)).await;
    }

    async fn refused(
        &self,
        caller: &Caller,
        mut trail: Trail,
        problem: CallbackProblem,
    ) -> Result<Finished, BrokerError> {
        metrics::counter!("doorward_authorizations_total", "outcome" => "refused").increment(1);
        let event = caller.event("authorization.refused").reference(&trail.reference);
        self.storage().record(event.detail("problem", &problem)).await?;
        let reference = trail.reference.clone();
        let code = match &problem {
            CallbackProblem::ProviderError { code } => Some(StepFact::ErrorCode(Words::new(code))),
            _ => None,
        };
        let step = self.step(StepKind::Refused).with(StepFact::Problem(problem.kind())).with_all(code);
        if problem.is_a_strangers() {
            trail.push(step);
            self.write_strangers_try(&mut trail).await;
        } else {
            self.ended(caller, trail, step, AttemptState::Refused).await;
        }
        Ok(Finished::Refused { problem, reference })
    }
}

/// The account that is connected and the one that came, where they differ and nobody said that they may. At
/// another provider an account has another identifier, so only what was given for the same place is compared.
fn other_account(
    request: &AuthorizationRequest,
    before: Option<&Grant>,
    tokens: &TokenSet,
) -> Option<(ProviderAccount, ProviderAccount)> {
    let before = before.filter(|grant| grant.fingerprint == request.fingerprint)?;
    if request.purpose != AuthorizationPurpose::Connect {
        return None;
    }
    let (kept, came) = (before.account.as_ref()?, tokens.account.as_ref()?);
    (kept.subject != came.subject).then(|| (kept.clone(), came.clone()))
}

/// What a person recognizes of an account.
fn shown(account: &ProviderAccount) -> &str {
    account.name.as_deref().unwrap_or(&account.subject)
}

/// What the answer holds, once it is known to be the right server's.
enum Checked {
    Code(AuthorizationCode),
    Denied,
    Problem(CallbackProblem),
}

/// RFC 6749 §4.1.2.1 allows printable ASCII; only a short word of it is shown.
pub(crate) fn error_code(error: &str) -> String {
    let word: String = error
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        .take(64)
        .collect();
    if word.is_empty() { "unknown_error".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_error_is_cut_to_a_plain_word() {
        assert_eq!(error_code("temporarily_unavailable"), "temporarily_unavailable");
        assert_eq!(error_code("<script>alert(1)</script>"), "scriptalert1script");
        assert_eq!(error_code("\u{202e}"), "unknown_error");
        assert_eq!(error_code(&"x".repeat(100)).len(), 64);
    }
}
