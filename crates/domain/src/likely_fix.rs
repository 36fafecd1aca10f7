//! What usually mends an authorization that failed, for the administrator who looks at it.

use crate::authorization_attempt::{AttemptProblem, AttemptState, AttemptStep, ExchangeProblem, StepFact};
use crate::authorization_request::AUTHORIZATION_REQUEST_LIFETIME;
use crate::clock::Timestamp;

/// The likely fix of an attempt; none where nothing is wrong.
pub fn likely_fix(
    state: AttemptState,
    started_at: Timestamp,
    steps: &[AttemptStep],
    now: Timestamp,
) -> Option<&'static str> {
    match state {
        AttemptState::Connected | AttemptState::Tested | AttemptState::Opened => None,
        AttemptState::Denied => Some(
            "The person, or a policy of their company at the provider, said no. If it was not meant, they start again; else let the app be approved at the provider.",
        ),
        AttemptState::OtherAccount => Some(
            "They came back as another account. They choose which one to keep: sign in again, or “Use the other account”.",
        ),
        AttemptState::SetOut if now < started_at.plus(AUTHORIZATION_REQUEST_LIFETIME) => None,
        AttemptState::SetOut => Some(
            "The browser never came back. Either the person gave up, or the provider showed an error of its own: register the redirect URI exactly as it was sent, and compare the client id.",
        ),
        AttemptState::Refused => {
            let last = steps.iter().rev().find_map(|step| problem_of(step).map(|problem| (problem, step)));
            last.map(|(problem, step)| match problem {
                AttemptProblem::ExchangeFailed => of_exchange(steps),
                AttemptProblem::ProviderError => of_code(code_of(step).unwrap_or_default()),
                other => of_problem(other),
            })
        }
    }
}

fn problem_of(step: &AttemptStep) -> Option<AttemptProblem> {
    step.facts.iter().find_map(|fact| match fact {
        StepFact::Problem(problem) => Some(*problem),
        _ => None,
    })
}

fn code_of(step: &AttemptStep) -> Option<&str> {
    step.facts.iter().find_map(|fact| match fact {
        StepFact::ErrorCode(code) => Some(code.as_str()),
        _ => None,
    })
}

const fn of_problem(problem: AttemptProblem) -> &'static str {
    match problem {
        AttemptProblem::NoState | AttemptProblem::UnknownState => {
            "The answer belongs to no round trip that is under way: a reload of an old address, or a provider that drops the state. They start again from My connections."
        }
        AttemptProblem::Expired => "They took more than ten minutes. They start again from My connections.",
        AttemptProblem::OtherUser => {
            "Somebody else was signed in at Doorward when the browser came back. The person who began signs in and goes on."
        }
        AttemptProblem::OtherBrowser => {
            "The link was opened in one browser and came back in another, or cookies are blocked. Open it where you are signed in."
        }
        AttemptProblem::WrongIssuer => {
            "The answer names another issuer than the gateway expects. Compare the two: if the provider is right, correct the gateway’s issuer; if you do not know the other one, treat it as an attack."
        }
        AttemptProblem::NoCode => {
            "The provider answered with neither a code nor an error. Check that the authorization URL is the one for the code flow."
        }
        AttemptProblem::GatewayChanged => {
            "The gateway was edited or disabled while the person was at the provider. They start again."
        }
        AttemptProblem::EndedMeanwhile => {
            "The connection was ended while the person was at the provider. They start again if it was not meant."
        }
        AttemptProblem::ProviderError | AttemptProblem::ExchangeFailed => {
            "Compare what was sent with what the provider has registered, then start again."
        }
    }
}

fn of_exchange(steps: &[AttemptStep]) -> &'static str {
    let found = steps.iter().rev().find_map(|step| {
        let problem = step.facts.iter().find_map(|fact| match fact {
            StepFact::ExchangeProblem(problem) => Some(*problem),
            _ => None,
        });
        problem.map(|problem| (problem, code_of(step).unwrap_or_default()))
    });
    match found {
        Some((ExchangeProblem::Refused, code)) => of_code(code),
        Some((ExchangeProblem::Temporary, _)) => {
            "The provider could not answer just now. They start again in a moment."
        }
        Some((ExchangeProblem::NotSent, _)) => {
            "The token endpoint could not be reached from here. Check its address, the network, and DOORWARD_ALLOW_PRIVATE_NETWORKS if it is inside."
        }
        Some((ExchangeProblem::Unanswered, _)) => {
            "The token endpoint’s answer was lost or is no token answer. Check that the token URL is the right one, then start again."
        }
        Some((ExchangeProblem::SecretUnusable, _)) => {
            "The client secret was given for other addresses, or its key is gone. Type it again on the gateway’s page."
        }
        None => of_problem(AttemptProblem::ExchangeFailed),
    }
}

/// By the provider's error code (RFC 6749 §4.1.2.1 and §5.2, RFC 8707 §2, OpenID Connect Core §3.1.2.6).
fn of_code(code: &str) -> &'static str {
    match code {
        "invalid_client" | "incorrect_client_credentials" => {
            "The provider does not know this client id with this secret. Compare both at the provider, and type the secret again on the gateway’s page."
        }
        "unauthorized_client" => {
            "The client may not use this flow. Allow the authorization code grant for it at the provider."
        }
        "invalid_grant" | "bad_verification_code" => {
            "The code was spent, too old, or given for another redirect URI. They start again; if it stays so, compare the redirect URI with the one that is registered."
        }
        "redirect_uri_mismatch" => "Register the redirect URI at the provider exactly as it was sent.",
        "invalid_scope" => {
            "The provider does not know one of the scopes, or does not allow it to this client. Correct the gateway’s scopes."
        }
        "invalid_target" => {
            "The provider does not take the resource parameter for this server. Set in the gateway’s facts when it is sent."
        }
        "server_error" | "temporarily_unavailable" => {
            "The provider stumbled. They start again in a moment; if it stays so, its status page or its log says why."
        }
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            "The provider wanted to ask the person something and was not allowed to. Remove prompt=none from the gateway’s extra parameters."
        }
        _ => {
            "Look the code up in the provider’s documentation, and compare what was sent with what is registered there."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorization_attempt::{StepKind, Words};
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn fix(state: AttemptState, facts: Vec<StepFact>) -> Option<&'static str> {
        let steps = facts.into_iter().map(|fact| AttemptStep::new(NOW, StepKind::Refused).with(fact));
        likely_fix(state, NOW, &steps.collect::<Vec<_>>(), NOW)
    }

    #[test]
    fn every_end_that_is_not_good_has_a_fix_and_the_others_have_none() {
        for state in AttemptState::ALL {
            let bad = matches!(state, AttemptState::Denied | AttemptState::OtherAccount);
            assert_eq!(fix(state, vec![]).is_some(), bad, "{state:?}");
        }
        let later = NOW.plus(Duration::from_secs(601));
        let lost = likely_fix(AttemptState::SetOut, NOW, &[], later);
        assert!(lost.unwrap().contains("redirect URI"));
    }

    #[test]
    fn a_refusal_is_told_by_its_problem_and_the_providers_code() {
        let refused = |facts| fix(AttemptState::Refused, facts).unwrap();
        assert!(refused(vec![StepFact::Problem(AttemptProblem::WrongIssuer)]).contains("issuer"));
        let step = AttemptStep::new(NOW, StepKind::Refused)
            .with(StepFact::Problem(AttemptProblem::ProviderError))
            .with(StepFact::ErrorCode(Words::new("invalid_scope")));
        assert!(likely_fix(AttemptState::Refused, NOW, &[step], NOW).unwrap().contains("scopes"));
        let exchange = AttemptStep::new(NOW, StepKind::NoTokens)
            .with(StepFact::ExchangeProblem(ExchangeProblem::Refused))
            .with(StepFact::ErrorCode(Words::new("invalid_client")));
        let end =
            AttemptStep::new(NOW, StepKind::Refused).with(StepFact::Problem(AttemptProblem::ExchangeFailed));
        let told = likely_fix(AttemptState::Refused, NOW, &[exchange, end], NOW).unwrap();
        assert!(told.contains("secret"), "{told}");
        let lost = refused(vec![
            StepFact::ExchangeProblem(ExchangeProblem::NotSent),
            StepFact::Problem(AttemptProblem::ExchangeFailed),
        ]);
        assert!(lost.contains("DOORWARD_ALLOW_PRIVATE_NETWORKS"));
    }
}
