//! Why an answer of a provider was not believed, or brought nothing.

use doorward_domain::AttemptProblem;

/// Why nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackProblem {
    #[error("The address carries no state, so it does not belong to an authorization that was begun here.")]
    NoState,
    #[error("This authorization is not known here, or it was completed already.")]
    UnknownState,
    #[error("This authorization was begun more than ten minutes ago and has expired.")]
    Expired,
    #[error("This authorization was begun by somebody else.")]
    OtherUser,
    #[error("This authorization was begun in another browser.")]
    OtherBrowser,
    #[error("The answer did not come from the authorization server that was asked.")]
    WrongIssuer,
    #[error("The provider sent neither a code nor an error.")]
    NoCode,
    #[error("The provider refused: {code}.")]
    ProviderError { code: String },
    #[error("The gateway was changed or disabled while you were at the provider.")]
    GatewayChanged,
    #[error("The connection was ended while you were at the provider.")]
    EndedMeanwhile,
    #[error("The provider did not give a token: {why}.")]
    ExchangeFailed { why: String },
}

impl CallbackProblem {
    /// What the person in front of the page can do.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::NoState
            | Self::UnknownState
            | Self::Expired
            | Self::NoCode
            | Self::GatewayChanged
            | Self::EndedMeanwhile => "Start again from My connections.",
            Self::OtherUser => "Sign in as the person who began it, or start your own from My connections.",
            Self::OtherBrowser => "Open the link in the browser where you began, or start again here.",
            Self::WrongIssuer => "Do not try again; tell your administrator, for this can be an attack.",
            Self::ProviderError { .. } | Self::ExchangeFailed { .. } => {
                "Try again; if it keeps failing, show this page to your administrator."
            }
        }
    }

    /// The same as the flow inspector keeps it.
    pub(crate) const fn kind(&self) -> AttemptProblem {
        match self {
            Self::NoState => AttemptProblem::NoState,
            Self::UnknownState => AttemptProblem::UnknownState,
            Self::Expired => AttemptProblem::Expired,
            Self::OtherUser => AttemptProblem::OtherUser,
            Self::OtherBrowser => AttemptProblem::OtherBrowser,
            Self::WrongIssuer => AttemptProblem::WrongIssuer,
            Self::NoCode => AttemptProblem::NoCode,
            Self::ProviderError { .. } => AttemptProblem::ProviderError,
            Self::GatewayChanged => AttemptProblem::GatewayChanged,
            Self::EndedMeanwhile => AttemptProblem::EndedMeanwhile,
            Self::ExchangeFailed { .. } => AttemptProblem::ExchangeFailed,
        }
    }

    /// Whether somebody came who did not begin it: it is still good in the hands of who did.
    pub(crate) const fn is_a_strangers(&self) -> bool {
        matches!(self, Self::OtherUser | Self::OtherBrowser)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_says_what_to_do() {
        let problems = [
            CallbackProblem::NoState,
            CallbackProblem::UnknownState,
            CallbackProblem::Expired,
            CallbackProblem::OtherUser,
            CallbackProblem::OtherBrowser,
            CallbackProblem::WrongIssuer,
            CallbackProblem::NoCode,
            CallbackProblem::ProviderError { code: "x".into() },
            CallbackProblem::GatewayChanged,
            CallbackProblem::EndedMeanwhile,
            CallbackProblem::ExchangeFailed { why: "x".into() },
        ];
        for problem in problems {
            assert!(problem.to_string().ends_with('.') && problem.next_step().ends_with('.'));
        }
    }
}
