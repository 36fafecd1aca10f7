//! The flow inspector: what happened at each browser round trip. It is written beside the round trip, which
//! never waits for it to succeed: a step that cannot be written is told to the log.

use crate::callback::error_code;
use crate::{Broker, BrokerError, Callback, Caller};
use doorward_domain::authorization_attempt::STEPS_MAX;
use doorward_domain::{
    AttemptFilter, AttemptState, AttemptStep, AuthorizationAttempt, AuthorizationAttemptId,
    AuthorizationRequestId, Gateway, GatewayId, GrantId, Page, PageRequest, Permission, Place, StepFact,
    StepKind, Words, likely_fix,
};
use doorward_storage::{BegunAttempt, StorageError};

/// One attempt, looked at closely.
#[derive(Debug, Clone)]
pub struct AttemptDetails {
    pub attempt: AuthorizationAttempt,
    pub steps: Vec<AttemptStep>,
    /// What usually mends it; none where nothing is wrong.
    pub likely_fix: Option<&'static str>,
}

impl AttemptDetails {
    /// The grant that came of it.
    pub fn grant(&self) -> Option<GrantId> {
        let mut facts = self.steps.iter().flat_map(|step| &step.facts);
        facts.find_map(|fact| match fact {
            StepFact::Grant(id) => Some(*id),
            _ => None,
        })
    }
}

/// An attempt under way: what it is called, and what is still to be written of it.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) reference: String,
    id: AuthorizationAttemptId,
    gateway: Option<GatewayId>,
    /// It is not in the database yet.
    new: bool,
    unwritten: Vec<AttemptStep>,
}

impl Trail {
    /// The authorization request of an attempt has the same id.
    pub(crate) fn request_id(&self) -> AuthorizationRequestId {
        AuthorizationRequestId(self.id.0)
    }

    pub(crate) fn push(&mut self, step: AttemptStep) {
        self.unwritten.push(step);
    }

    /// Adds a step that there may be none of.
    pub(crate) fn unless_none(&mut self, step: Option<AttemptStep>) {
        self.unwritten.extend(step);
    }
}

impl Broker {
    /// The attempts that a filter lets pass, newest first.
    pub async fn attempts(
        &self,
        caller: &Caller,
        filter: &AttemptFilter,
        page: &PageRequest,
    ) -> Result<Page<AuthorizationAttempt>, BrokerError> {
        caller.require(Permission::ReadAudit)?;
        Ok(self.storage().attempts(filter, page).await?)
    }

    /// One attempt with its steps.
    pub async fn attempt(
        &self,
        caller: &Caller,
        id: AuthorizationAttemptId,
    ) -> Result<AttemptDetails, BrokerError> {
        caller.require(Permission::ReadAudit)?;
        let attempt = self.storage().attempt(id).await?;
        let attempt = attempt.ok_or(BrokerError::NotFound { what: "authorization attempt" })?;
        let steps = self.storage().attempt_steps(id).await?;
        let likely_fix = likely_fix(attempt.state, attempt.started_at, &steps, self.now());
        Ok(AttemptDetails { attempt, steps, likely_fix })
    }

    pub(crate) fn step(&self, kind: StepKind) -> AttemptStep {
        AttemptStep::new(self.now(), kind)
    }

    fn new_attempt(&self, caller: &Caller, gateway_id: Option<GatewayId>) -> BegunAttempt {
        let entropy = self.parts.entropy;
        // 48 random bits, as many as a person can read out.
        let reference = entropy.bytes::<6>().map(|byte| format!("{byte:02x}")).concat();
        BegunAttempt { id: entropy.id(self.now()), reference, user_id: caller.user.id, gateway_id }
    }

    /// Notes that somebody opened the link of a gateway.
    pub(crate) async fn note_opened(
        &self,
        caller: &Caller,
        gateway: &Gateway,
        facts: impl IntoIterator<Item = StepFact>,
    ) {
        let step = self.step(StepKind::LinkOpened).with_all(facts);
        let new = self.new_attempt(caller, Some(gateway.id));
        tell_the_log(self.storage().open_attempt(&new, &step).await);
    }

    /// The attempt that sets out now.
    pub(crate) async fn trail_sets_out(
        &self,
        caller: &Caller,
        gateway: &Gateway,
        steps: Vec<AttemptStep>,
    ) -> Trail {
        let new = self.new_attempt(caller, Some(gateway.id));
        let begun = self.storage().begin_attempt(&new, &steps, self.now()).await;
        let unwritten = Vec::new();
        match begun {
            Ok(begun) => {
                let BegunAttempt { id, reference, gateway_id, .. } = begun;
                Trail { reference, id, gateway: gateway_id, new: false, unwritten }
            }
            Err(error) => {
                tell_the_log(Err(error));
                let BegunAttempt { id, reference, gateway_id, .. } = new;
                Trail { reference, id, gateway: gateway_id, new: true, unwritten }
            }
        }
    }

    /// The attempt that an answer belongs to; a new one where it belongs to none.
    pub(crate) async fn trail_of(&self, caller: &Caller, callback: &Callback) -> Result<Trail, BrokerError> {
        let request = match &callback.state {
            Some(state) => {
                self.storage().authorization_request_by_state(doorward_vault::hash_token(state)).await?
            }
            None => None,
        };
        let id = request.as_ref().map(|request| AuthorizationAttemptId(request.id.0));
        let known = match id {
            Some(id) => self.storage().attempt(id).await?,
            None => None,
        };
        let mut new = self.new_attempt(caller, request.as_ref().map(|request| request.gateway_id));
        new.id = id.unwrap_or(new.id);
        let is_new = known.is_none();
        let reference = known.map_or(new.reference, |known| known.reference);
        let unwritten = vec![self.came_back(callback)];
        Ok(Trail { reference, id: new.id, gateway: new.gateway_id, new: is_new, unwritten })
    }

    /// Writes what has happened so far, and perhaps how it ended.
    pub(crate) async fn write_trail(&self, caller: &Caller, trail: &mut Trail, state: Option<AttemptState>) {
        let steps = std::mem::take(&mut trail.unwritten);
        let written = if trail.new {
            let (id, reference, user_id) = (trail.id, trail.reference.clone(), caller.user.id);
            let new = BegunAttempt { id, reference, user_id, gateway_id: trail.gateway };
            self.storage().keep_attempt(&new, state.unwrap_or(AttemptState::SetOut), &steps, self.now()).await
        } else {
            self.storage().continue_attempt(trail.id, state, &steps, STEPS_MAX).await
        };
        trail.new = trail.new && written.is_err();
        tell_the_log(written);
    }

    /// Notes a stranger's try at an attempt that goes on without them.
    pub(crate) async fn write_strangers_try(&self, trail: &mut Trail) {
        let steps = std::mem::take(&mut trail.unwritten);
        if !trail.new {
            tell_the_log(self.storage().continue_attempt(trail.id, None, &steps, STEPS_MAX / 2).await);
        }
    }

    fn came_back(&self, callback: &Callback) -> AttemptStep {
        let words = callback.error_description.as_deref();
        let words = words.map(|words| doorward_oauth::words_of_callback(words, callback.state.as_ref()));
        self.step(StepKind::CameBack)
            .with_all(callback.state.as_ref().map(|_| StepFact::State))
            .with_all(callback.code.as_ref().map(|_| StepFact::Code))
            .with_all(
                callback.error.as_deref().map(|error| StepFact::ErrorCode(Words::new(&error_code(error)))),
            )
            .with_all(words.map(|words| StepFact::ProviderWords(Words::new(&words))))
            .with_all(callback.iss.as_deref().map(|iss| StepFact::ReceivedIssuer(Place::read(iss))))
    }
}

fn tell_the_log(written: Result<(), StorageError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "the flow inspector could not be written");
    }
}
