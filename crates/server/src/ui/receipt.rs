//! What a provider will be told of an end, and what is known of it afterwards, in sentences that claim no more
//! than is true.

use crate::ui::parts::{Badge, Icon, Said, Tone, host_of};
use doorward_domain::{EndedGrant, OAuthSettings, Receipt, RevocationReach, Telling, Timestamp};
use std::time::Duration;
use url::Url;

/// A page that shows a pending receipt looks again by itself for so long after the end.
const WATCHED: Duration = Duration::from_secs(5 * 60);

/// Whose connection it is, as the page speaks to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Yours,
    Theirs,
}

/// What the provider will be told, in a sentence.
pub(super) fn told(settings: &OAuthSettings, whose: Whose) -> String {
    let key = settings.issuer_key();
    let provider = host_of(&key);
    match (settings.telling(), whose) {
        (Telling::Ends, _) => {
            format!("{provider} is told right afterwards, and asked to end this access on its side too.")
        }
        (Telling::EndsMore(_), _) => {
            format!("{provider} can be told too, but would end more than this connection. It is your choice.")
        }
        (Telling::NoSuchCall, Whose::Yours) => format!(
            "{provider} has no way to be told. Your account there goes on listing the access until you end it by hand."
        ),
        (Telling::NoSuchCall, Whose::Theirs) => format!(
            "{provider} has no way to be told. The person's account there goes on listing the access until they end it by hand."
        ),
        (Telling::Stranger, Whose::Yours) => format!(
            "{provider} is not told, because the address for it is not known to be its own. End the access in your account there as well."
        ),
        (Telling::Stranger, Whose::Theirs) => format!(
            "{provider} is not told, because the address for it is not known to be its own. The person can end the access in their account there."
        ),
    }
}

/// Where a person ends it by hand, when the provider is not told.
pub(super) fn by_hand(settings: &OAuthSettings) -> Option<String> {
    match settings.telling() {
        Telling::Ends => None,
        Telling::NoSuchCall | Telling::Stranger | Telling::EndsMore(_) => {
            settings.facts.user_apps_url.as_ref().map(Url::to_string)
        }
    }
}

/// What else would end at the provider.
pub(super) fn also_ends(reach: RevocationReach, whose: Whose) -> &'static str {
    match (reach, whose) {
        (RevocationReach::ThisGrant, _) => "nothing else",
        (RevocationReach::AllOfAppForUser, Whose::Yours) => {
            "everything else that you have connected with this application there"
        }
        (RevocationReach::AllOfAppForUser, Whose::Theirs) => {
            "everything else that the person has connected with this application there"
        }
        (RevocationReach::AllAppsForUser, Whose::Yours) => {
            "every sign-in of yours there, also those of other applications and devices"
        }
        (RevocationReach::AllAppsForUser, Whose::Theirs) => {
            "every sign-in of the person there, also those of other applications and devices"
        }
    }
}

/// What is known after an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) lines: Vec<Said>,
    pub(super) badge: Badge,
    /// The provider's answer is still to come.
    pub(super) pending: bool,
    /// The page looks again by itself.
    pub(super) watched: bool,
    /// Where a person ends it by hand, unless the provider has confirmed, or may yet.
    pub(super) apps_url: Option<String>,
}

impl Outcome {
    pub(super) fn of(ended: &EndedGrant, now: Timestamp) -> Self {
        let here = Said::plain("Blocked here now: no call is served with it any more.");
        let mut lines = vec![here, provider_side(ended)];
        lines.extend(a_copy(ended, now));
        let pending = ended.receipt == Receipt::Pending;
        let settled = matches!(ended.receipt, Receipt::EndedAtProvider | Receipt::Pending);
        Self {
            lines,
            badge: badge(ended.receipt),
            pending,
            watched: pending && ended.ended_at.until(now) < WATCHED,
            apps_url: ended.user_apps_url.clone().filter(|_| !settled),
        }
    }
}

/// The receipt in a word.
pub(super) const fn badge(receipt: Receipt) -> Badge {
    match receipt {
        Receipt::Pending => Badge::new(Tone::Info, Icon::Clock, "Being told"),
        Receipt::EndedAtProvider => Badge::new(Tone::Ok, Icon::Check, "Ended there too"),
        Receipt::NoSuchCall => Badge::new(Tone::Mute, Icon::Info, "No way to tell"),
        Receipt::Refused => Badge::new(Tone::Bad, Icon::Bang, "Refused"),
        Receipt::GaveUp => Badge::new(Tone::Bad, Icon::Off, "No answer"),
        Receipt::NotTold => Badge::new(Tone::Mute, Icon::Dot, "Not told"),
        Receipt::NothingToTell => Badge::new(Tone::Mute, Icon::Dot, "Nothing to tell"),
    }
}

/// The receipt in a sentence.
fn provider_side(ended: &EndedGrant) -> Said {
    let provider = host_of(&ended.provider);
    let why = ended.receipt_detail.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    Said::plain(match ended.receipt {
        Receipt::EndedAtProvider => {
            let before = format!("{provider} has confirmed that it ended there too{why}:");
            return Said::at(before, ended.receipt_at, ".");
        }
        Receipt::Pending => format!("{provider} is being told; it has not confirmed yet."),
        Receipt::NoSuchCall => format!("{provider} has no way to be told: end it in the account there."),
        Receipt::Refused => format!("{provider} was told and refused{why}: end it in the account there."),
        Receipt::GaveUp => format!("{provider} did not answer for three days{why}: end it there by hand."),
        Receipt::NotTold => format!("{provider} was not told{why}."),
        Receipt::NothingToTell => format!("There was nothing left to tell {provider} of{why}."),
    })
}

/// Whether a copy of the access token that was taken before could still be of use to somebody.
fn a_copy(ended: &EndedGrant, now: Timestamp) -> Option<Said> {
    let confirmed = ended.receipt == Receipt::EndedAtProvider;
    match ended.access_token_expires_at {
        Some(end) if end <= now => None,
        Some(end) if confirmed => Some(Said::at(
            "A copy taken before may still work, at a server that does not ask the provider, until",
            end,
            ".",
        )),
        Some(end) => Some(Said::at("A copy taken before could still work there until", end, ".")),
        None if confirmed || ended.receipt == Receipt::NothingToTell => None,
        None => Some(Said::plain("A copy taken before could still work there: no end of it is known.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::{NOW, ended_grant};

    fn text(outcome: &Outcome) -> String {
        outcome
            .lines
            .iter()
            .map(|line| format!("{}{}", line.before, line.after))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_receipt_never_claims_more_than_the_provider_said() {
        for receipt in Receipt::ALL {
            let outcome = Outcome::of(&ended_grant(receipt), NOW);
            let text = text(&outcome);
            assert!(text.starts_with("Blocked here now"), "{text}");
            assert_eq!(text.contains("has confirmed"), receipt == Receipt::EndedAtProvider, "{text}");
            assert_eq!(outcome.badge.tone == Tone::Ok, receipt == Receipt::EndedAtProvider);
            assert_eq!(outcome.pending, receipt == Receipt::Pending);
            assert!(text.contains("A copy taken before"), "{text}");
        }
    }

    #[test]
    fn a_copy_is_spoken_of_as_long_as_it_could_work() {
        let mut ended = ended_grant(Receipt::NoSuchCall);
        let copy = |ended: &EndedGrant| text(&Outcome::of(ended, NOW)).contains("A copy");
        ended.access_token_expires_at = Some(NOW);
        assert!(!copy(&ended));
        ended.access_token_expires_at = None;
        assert!(copy(&ended));
        ended.receipt = Receipt::EndedAtProvider;
        assert!(!copy(&ended));
    }

    #[test]
    fn a_page_looks_again_by_itself_for_some_minutes_and_then_leaves_it_to_its_reader() {
        let ended = ended_grant(Receipt::Pending);
        assert!(Outcome::of(&ended, NOW).watched);
        let later = Outcome::of(&ended, NOW.plus(WATCHED));
        assert!(later.pending && !later.watched);
        assert!(!Outcome::of(&ended_grant(Receipt::Refused), NOW).watched);
    }
}
