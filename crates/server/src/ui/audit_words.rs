//! The audit trail as a person would tell it: a sentence for each action, and who acted.

use doorward_domain::{Actor, AuditEvent, UserId};
use std::collections::HashMap;

/// E-mail addresses of people by id; who is gone has none.
pub(super) type Emails = HashMap<UserId, String>;

/// Everybody whose address a page of events needs.
pub(super) fn people_in(events: &[AuditEvent]) -> Vec<UserId> {
    events.iter().flat_map(|event| event.actor.person().into_iter().chain(event.user_id)).collect()
}

/// Who acted.
pub(super) fn who(actor: &Actor, people: &Emails) -> String {
    match actor {
        Actor::User(id) => name_of(*id, people),
        Actor::Anonymous => "somebody not signed in".to_owned(),
        Actor::System => "Doorward".to_owned(),
        Actor::CommandLine => "the command line".to_owned(),
    }
}

/// A person's address.
pub(super) fn name_of(id: UserId, people: &Emails) -> String {
    people.get(&id).cloned().unwrap_or_else(|| "somebody who is gone".to_owned())
}

/// What happened, in a few words; the action itself where it is unknown here.
pub(super) fn sentence_of(event: &AuditEvent) -> String {
    let detail = |name: &str| event.detail.get(name).map(String::as_str);
    let named = |text: &str, name: &str| match detail(name) {
        Some(value) => format!("{text}: {value}"),
        None => text.to_owned(),
    };
    match event.action.as_str() {
        "grant.refresh_failed" => named("A refresh failed", "error"),
        "grant.park" => named("Has to be authorized again", "reason"),
        "grant.revoke" | "grant.sweep" | "grant.end" => named("A grant ended", "cause"),
        "grant.provider_told" => named("The provider’s answer to a revocation", "receipt"),
        "connect.refused" | "authorization.refused" => named("An authorization was refused", "problem"),
        "audit.export" => named("Exported the audit trail", "format"),
        "keys.rotate" | "keys.switch" => named("A new key seals; it replaces", "replaces"),
        "user.delete" => named("Deleted a person", "email"),
        "catalog.change" | "catalog.agree" => named(plain(&event.action), "slug"),
        "server.create" | "server.update" | "server.delete" => named(plain(&event.action), "slug"),
        "role.create" | "role.update" | "role.delete" => named(plain(&event.action), "name"),
        "group.create" | "group.update" | "group.delete" | "group.join" | "group.leave" => {
            named(plain(&event.action), "name")
        }
        "gateway.create" | "gateway.update" | "gateway.delete" => named(plain(&event.action), "slug"),
        action => plain(action).to_owned(),
    }
}

/// The words for an action that needs no fact beside it.
pub(super) fn plain(action: &str) -> &str {
    match action {
        "api_token.create" => "Made an API token",
        "api_token.end" => "Ended an API token",
        "audit.sweep" => "Removed events past their retention",
        "audit.verify" => "Verified the audit trail",
        "authorization.begin" => "Went to a provider to authorize",
        "authorization.other_account" => "Came back as another account; the one there was kept",
        "gateway.test_login" => "Tried a gateway’s provider with a test login",
        "backup.made" => "Made a backup",
        "restore.done" => "Restored a backup",
        "catalog.change" => "A server’s tools or prompts have changed",
        "catalog.agree" => "Agreed to changed tools or prompts",
        "circuit.open" => "A provider fails for everybody; no request goes out",
        "circuit.close" => "A provider answers again",
        "cleanup.done" => "Cleanup ran",
        "cleanup.held" => "Cleanup ran, and holds grants for an administrator’s word",
        "cleanup.failed" => "Cleanup stopped in the middle",
        "gateway.create" => "Registered a gateway",
        "gateway.update" => "Changed a gateway",
        "gateway.delete" => "Deleted a gateway",
        "gateway.issuer_changed" => "A gateway’s provider changed its issuer",
        "gateway.registration_accepted" => "A provider accepts a gateway’s registration again",
        "gateway.registration_removed" => "A client that a provider had made for Doorward is removed there",
        "gateway.registration_refused" => "A provider refuses a gateway’s registration",
        "grant.adopt" => "Access came back, and so did the grant",
        "grant.orphan" => "Lost access; the grant is orphaned",
        "grant.deposit" => "Deposited a token for somebody",
        "grant.accept" => "Accepted what was deposited",
        "grant.authorize" => "Authorized a gateway",
        "grant.reauthorize" => "Has to authorize again, by an administrator’s wish",
        "grant.reauthorize_many" => "Forced many to authorize again",
        "grant.revoke_many" => "Revoked many grants",
        "grant.refresh" => "Refreshed a token",
        "grant.refresh_now" => "Asked for a refresh",
        "grant.uncertain" => "A refresh was sent and its answer lost",
        "group.create" => "Made a group",
        "group.update" => "Renamed a group",
        "group.delete" => "Deleted a group",
        "group.join" => "Put a person into a group",
        "group.leave" => "Took a person out of a group",
        "keys.retire" => "Retired a key",
        "login" => "Signed in",
        "logout" => "Signed out",
        "login.refused" => "A sign-in was refused",
        "login.again" => "Showed again that it was they",
        "login.code_refused" => "A code was refused",
        "role.create" => "Made a role",
        "role.update" => "Changed a role",
        "role.delete" => "Deleted a role",
        "second_factor.begin" => "Began to set up a second step",
        "second_factor.set_up" => "Set up a second step",
        "second_factor.new_recovery_codes" => "Made new recovery codes",
        "second_factor.recovery_code_used" => "Signed in with a recovery code",
        "second_factor.remove" => "Removed a second step",
        "session.end" => "Ended a browser session",
        "server.create" => "Made a virtual server",
        "server.update" => "Changed a virtual server",
        "server.delete" => "Deleted a virtual server",
        "user.create" => "Created a person",
        "user.update" => "Changed a person",
        "user.password_reset" => "Chose a new password",
        "user.reset_link" => "Made a reset link",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::audit_events;

    #[test]
    fn a_known_action_is_a_sentence_and_an_unknown_one_is_itself() {
        let told: Vec<_> = audit_events().iter().map(sentence_of).collect();
        assert_eq!(told[0], "A grant ended: revoked");
        assert_eq!(told[1], "A sign-in was refused");
        assert_eq!(told[3], "something.new");
    }

    #[test]
    fn who_acted_is_named_or_said_to_be_gone() {
        let id = UserId(uuid::Uuid::from_u128(1));
        let people = Emails::from([(id, "root@acme.example".to_owned())]);
        assert_eq!(who(&Actor::User(id), &people), "root@acme.example");
        assert_eq!(who(&Actor::User(id), &Emails::new()), "somebody who is gone");
        assert_eq!(who(&Actor::Anonymous, &people), "somebody not signed in");
        assert_eq!(
            (who(&Actor::System, &people), who(&Actor::CommandLine, &people)),
            ("Doorward".into(), "the command line".into())
        );
    }
}
