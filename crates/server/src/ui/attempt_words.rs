//! Authorization attempts in words: how far they came, and what each step was.

use crate::ui::parts::{Badge, Icon, Tone};
use doorward_domain::{AttemptProblem, AttemptState, AttemptStep, StepFact, StepKind};

/// How far an attempt came. One that has not come back for long is lost.
pub(super) const fn badge(state: AttemptState) -> Badge {
    match state {
        AttemptState::Opened => Badge::new(Tone::Mute, Icon::Dot, "Link opened"),
        AttemptState::SetOut => Badge::new(Tone::Info, Icon::Clock, "At the provider"),
        AttemptState::Connected => Badge::new(Tone::Ok, Icon::Check, "Connected"),
        AttemptState::Tested => Badge::new(Tone::Mute, Icon::Info, "Test login"),
        AttemptState::OtherAccount => Badge::new(Tone::Warn, Icon::Question, "Another account"),
        AttemptState::Denied => Badge::new(Tone::Warn, Icon::Off, "Said no"),
        AttemptState::Refused => Badge::new(Tone::Bad, Icon::Bang, "Refused"),
    }
}

/// One of those that set out and did not come back in time.
pub(super) const LOST: Badge = Badge::new(Tone::Warn, Icon::Clock, "Never came back");

/// A step's tone and title.
pub(super) fn told(step: &AttemptStep) -> (Tone, &'static str) {
    match step.kind {
        StepKind::LinkOpened => (Tone::Mute, "The link was opened"),
        StepKind::Agreed => (Tone::Mute, "They agreed to go on"),
        StepKind::SentToProvider => (Tone::Mute, "The browser was sent to the provider"),
        StepKind::CameBack if code(step).is_some() => (Tone::Warn, "The browser came back with an error"),
        StepKind::CameBack => (Tone::Mute, "The browser came back"),
        StepKind::CodeSent => (Tone::Mute, "The code was sent to the token endpoint"),
        StepKind::TokensCame => (Tone::Ok, "Tokens came"),
        StepKind::NoTokens => (Tone::Bad, "No tokens came"),
        StepKind::AccountAsked => (Tone::Mute, "The provider was asked whose account it is"),
        StepKind::Stored => (Tone::Ok, "Stored, sealed"),
        StepKind::Tested => (Tone::Ok, "It was a test: what came was thrown away"),
        StepKind::OtherAccount => (Tone::Warn, "Another account came: what it brought was thrown away"),
        StepKind::Denied => (Tone::Warn, "The person, or the provider for them, said no"),
        StepKind::Refused => (Tone::Bad, step.facts.iter().find_map(problem).unwrap_or("Refused")),
    }
}

fn problem(fact: &StepFact) -> Option<&'static str> {
    let StepFact::Problem(problem) = fact else { return None };
    Some(match problem {
        AttemptProblem::NoState => "Refused: the answer carries no state",
        AttemptProblem::UnknownState => "Refused: no round trip of this state is under way",
        AttemptProblem::Expired => "Refused: it took more than ten minutes",
        AttemptProblem::OtherUser => "Somebody else came back with it, and was refused",
        AttemptProblem::OtherBrowser => "Another browser came back with it, and was refused",
        AttemptProblem::WrongIssuer => "Refused: the answer names another issuer than was asked",
        AttemptProblem::NoCode => "Refused: there is neither a code nor an error",
        AttemptProblem::ProviderError => "Refused by the provider",
        AttemptProblem::GatewayChanged => "Refused: the gateway was changed or disabled meanwhile",
        AttemptProblem::EndedMeanwhile => "Refused: the connection was ended meanwhile",
        AttemptProblem::ExchangeFailed => "Refused: the provider gave no token",
    })
}

/// The error code of a step.
pub(super) fn code(step: &AttemptStep) -> Option<&str> {
    step.facts.iter().find_map(|fact| match fact {
        StepFact::ErrorCode(code) => Some(code.as_str()),
        _ => None,
    })
}

/// The provider's own prose: shown as text, and apart from our words.
pub(super) fn provider_words(step: &AttemptStep) -> Option<&str> {
    step.facts.iter().find_map(|fact| match fact {
        StepFact::ProviderWords(words) => Some(words.as_str()),
        _ => None,
    })
}

/// What went out or came in: the method and the address, where there is one.
pub(super) fn request_line(step: &AttemptStep) -> Option<String> {
    let method = match step.kind {
        StepKind::SentToProvider => "GET",
        StepKind::CodeSent => "POST",
        StepKind::AccountAsked => "ask",
        _ => return None,
    };
    let endpoint = step.facts.iter().find(|fact| matches!(fact, StepFact::Endpoint(_)))?;
    Some(format!("{method} {}", endpoint.text()))
}

/// The facts that stand below a step: those that its title and lines do not say already.
pub(super) fn facts(step: &AttemptStep) -> Vec<(&'static str, String)> {
    let said = |fact: &&StepFact| {
        matches!(
            fact,
            StepFact::Endpoint(_)
                | StepFact::Problem(_)
                | StepFact::ErrorCode(_)
                | StepFact::ProviderWords(_)
                | StepFact::Grant(_)
        )
    };
    step.facts.iter().filter(|fact| !said(fact)).map(|fact| (fact.name(), fact.text())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::NOW;
    use doorward_domain::{Place, Words};

    #[test]
    fn a_step_tells_what_it_was_and_keeps_the_providers_words_apart() {
        let step = AttemptStep::new(NOW, StepKind::CameBack)
            .with(StepFact::ErrorCode(Words::new("invalid_scope")))
            .with(StepFact::ProviderWords(Words::new("<b>no")))
            .with(StepFact::State);
        assert_eq!(told(&step), (Tone::Warn, "The browser came back with an error"));
        assert_eq!((code(&step), provider_words(&step)), (Some("invalid_scope"), Some("<b>no")));
        assert_eq!(facts(&step), [("state", "[withheld]".to_owned())]);
        let refused = AttemptStep::new(NOW, StepKind::Refused);
        assert_eq!(told(&refused).1, "Refused");
        let refused = refused.with(StepFact::Problem(AttemptProblem::WrongIssuer));
        assert!(told(&refused).1.contains("another issuer"));
    }

    #[test]
    fn a_request_has_its_method_and_an_answer_has_none() {
        let endpoint = || StepFact::Endpoint(Place::read("https://as.example/token"));
        let sent = AttemptStep::new(NOW, StepKind::CodeSent).with(endpoint());
        assert_eq!(request_line(&sent).unwrap(), "POST https://as.example/token");
        assert_eq!(request_line(&AttemptStep::new(NOW, StepKind::TokensCame).with(endpoint())), None);
    }
}
