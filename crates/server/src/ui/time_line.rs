//! What happened to a grant: its events in the audit trail, as a person would tell them.

use crate::ui::parts::{Moment, Tone};
use crate::ui::receipt;
use crate::ui::words::meant;
use doorward_domain::{Actor, AuditEvent, EndCause, Receipt, UserId};
use std::collections::HashMap;

/// E-mail addresses of those who acted.
pub(super) type People = HashMap<UserId, String>;

/// One event.
pub(super) struct Entry {
    pub(super) tone: Tone,
    pub(super) title: String,
    /// The provider's own words. They come from outside: shown as text, and apart from ours.
    pub(super) words: Option<String>,
    pub(super) lines: Vec<String>,
    pub(super) at: Moment,
    pub(super) by: String,
    pub(super) reference: Option<String>,
    /// What the reference leads to.
    pub(super) leads_to: &'static str,
}

/// Newest first, as they come.
pub(super) fn entries(events: &[AuditEvent], people: &People) -> Vec<Entry> {
    events.iter().map(|event| entry(event, people)).collect()
}

/// Whose addresses a time line needs.
pub(super) fn who_acted(events: &[AuditEvent]) -> Vec<UserId> {
    events.iter().filter_map(|event| event.actor.person()).collect()
}

/// Who did it.
pub(super) fn by(actor: &Actor, people: &People) -> String {
    match actor {
        Actor::User(id) => people.get(id).cloned().unwrap_or_else(|| "somebody who is gone".to_owned()),
        Actor::Anonymous => "somebody who had not signed in".to_owned(),
        Actor::System => "Doorward".to_owned(),
        Actor::CommandLine => "the command line".to_owned(),
    }
}

fn entry(event: &AuditEvent, people: &People) -> Entry {
    let detail = |name: &str| event.detail.get(name).map(String::as_str);
    let (tone, title) = told(event);
    let mut lines = Vec::new();
    lines.extend(detail("error").or(detail("answer")).map(str::to_owned));
    // A park's reason is a word of ours, which the title says already.
    if event.action != "grant.park" {
        lines.extend(detail("reason").map(|reason| format!("“{reason}”")));
    }
    Entry {
        tone,
        title,
        words: detail("provider_words").map(str::to_owned),
        lines,
        at: Moment::exact(event.at),
        by: by(&event.actor, people),
        reference: event.reference.clone(),
        leads_to: if event.action == "grant.authorize" { "/ui/attempts" } else { "/ui/audit" },
    }
}

fn told(event: &AuditEvent) -> (Tone, String) {
    let detail = |name: &str| event.detail.get(name).map(String::as_str).unwrap_or_default();
    let (tone, title) = match event.action.as_str() {
        "grant.authorize" => (Tone::Mute, "Authorized in the browser"),
        "grant.deposit" => (Tone::Mute, "Deposited for its user"),
        "grant.accept" => (Tone::Ok, "Accepted by its user"),
        "grant.refresh" => (Tone::Ok, refreshed(detail("path"))),
        "grant.refresh_failed" => (Tone::Warn, "A refresh failed; it is kept"),
        "grant.refresh_now" => (Tone::Mute, "A refresh was asked for"),
        "grant.park" => (Tone::Bad, parked(detail("reason"))),
        "grant.uncertain" => (Tone::Info, "A refresh was sent and its answer was lost"),
        "grant.reauthorize" => (Tone::Warn, "Asked to authorize again"),
        "grant.orphan" => (Tone::Mute, "Its user lost access to the gateway"),
        "grant.adopt" => (Tone::Ok, "Its user has access to the gateway again"),
        "grant.revoke" | "grant.sweep" | "grant.end" => {
            (Tone::Bad, meant(detail("cause")).map_or("Ended", cause))
        }
        "grant.provider_told" => {
            let receipt = meant::<Receipt>(detail("receipt"));
            let tone = receipt.map_or(Tone::Mute, |receipt| receipt::badge(receipt).tone);
            let word = receipt.map_or("told", |receipt| receipt::badge(receipt).word);
            return (tone, format!("The provider: {}", word.to_lowercase()));
        }
        other => return (Tone::Mute, other.to_owned()),
    };
    (tone, title.to_owned())
}

fn refreshed(path: &str) -> &'static str {
    match path {
        "call" => "Refreshed before a call",
        "background" => "Refreshed in the background",
        "refresh_now" => "Refreshed by hand",
        "refused_upstream" => "Refreshed after the server refused the token",
        _ => "Refreshed",
    }
}

fn parked(reason: &str) -> &'static str {
    match reason {
        "invalid_grant" => "The provider refused the refresh token: its user has to authorize again",
        "refused_fresh_token" => "The server refused a fresh token: its user has to authorize again",
        "nothing_to_refresh_with" => "It ended with nothing to renew it: its user has to authorize again",
        "gateway_changed" => "The gateway points elsewhere now: its user has to authorize again",
        _ => "Its user has to authorize again",
    }
}

/// Why a grant ended.
pub(super) const fn cause(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Disconnected => "Disconnected by its user",
        EndCause::Revoked => "Revoked",
        EndCause::Swept => "Swept: stale for too long",
        EndCause::Idle => "Unused for too long",
        EndCause::OrphanedTooLong => "Without access for too long",
        EndCause::UserDisabled => "Its user was disabled",
        EndCause::UserDeleted => "Its user was deleted",
        EndCause::GatewayDeleted => "The gateway was deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::event;

    fn told_of(action: &str, details: &[(&str, &str)]) -> Entry {
        entry(&event(action, details), &People::new())
    }

    #[test]
    fn an_event_reads_as_a_person_would_tell_it() {
        let titles = [
            (told_of("grant.authorize", &[]), "Authorized in the browser"),
            (told_of("grant.deposit", &[]), "Deposited for its user"),
            (told_of("grant.accept", &[]), "Accepted by its user"),
            (told_of("grant.refresh", &[("path", "call")]), "Refreshed before a call"),
            (told_of("grant.refresh", &[("path", "background")]), "Refreshed in the background"),
            (told_of("grant.park", &[("reason", "invalid_grant")]), "The provider refused the refresh token"),
            (told_of("grant.revoke", &[("cause", "disconnected")]), "Disconnected by its user"),
            (told_of("grant.sweep", &[("cause", "idle")]), "Unused for too long"),
            (told_of("grant.provider_told", &[("receipt", "refused")]), "The provider: refused"),
            (told_of("grant.something_new", &[]), "grant.something_new"),
        ];
        for (entry, title) in titles {
            assert!(entry.title.starts_with(title), "{}", entry.title);
        }
    }

    #[test]
    fn the_providers_words_stand_apart_and_a_reason_is_quoted() {
        let failed = told_of("grant.refresh_failed", &[("error", "no token"), ("provider_words", "<b>")]);
        assert_eq!((failed.words.as_deref(), failed.lines), (Some("<b>"), vec!["no token".to_owned()]));
        let revoked = told_of("grant.revoke", &[("cause", "revoked"), ("reason", "left the team")]);
        assert_eq!(revoked.lines, ["“left the team”"]);
        assert!(told_of("grant.park", &[("reason", "invalid_grant")]).lines.is_empty());
    }

    #[test]
    fn who_acted_is_named() {
        let id = UserId(uuid::Uuid::from_u128(1));
        let people = People::from([(id, "root@acme.example".to_owned())]);
        assert_eq!(by(&Actor::User(id), &people), "root@acme.example");
        assert_eq!(by(&Actor::User(id), &People::new()), "somebody who is gone");
        assert_eq!(by(&Actor::System, &people), "Doorward");
        assert_eq!(by(&Actor::CommandLine, &people), "the command line");
    }
}
