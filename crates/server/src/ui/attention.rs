//! What waits for an administrator, and how all grants fare now: read from the state as it is.

use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::parts::{Badge, Tone, distance};
use crate::ui::plot::class_of;
use askama::filters::HtmlSafe;
use doorward_broker::Caller;
use doorward_domain::{Gateway, GatewayAuthorization, GrantCounts, Health, Permission, Timestamp};
use std::fmt::{Display, Formatter, Result as Written};

/// Every health, the worst last, as the plot and its legend show them.
const HEALTHS: [Health; 6] = [
    Health::Valid,
    Health::ExpiringSoon,
    Health::Uncertain,
    Health::Orphaned,
    Health::NeedsAuthorization,
    Health::Expired,
];

/// Of two healths with one tone, one is drawn fainter.
pub(super) fn is_faint(health: Health) -> bool {
    health == Health::Expired
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attention {
    pub(super) tone: Tone,
    pub(super) text: String,
    pub(super) href: String,
    pub(super) label: &'static str,
}

/// What an administrator sees beside the first steps.
pub(super) struct Watch {
    pub(super) attention: Vec<Attention>,
    pub(super) total: u64,
    pub(super) plot: Plot,
    pub(super) legend: Vec<(Badge, u64)>,
}

impl Watch {
    /// What there is to watch; none for who may not.
    pub(super) async fn of(
        state: &AppState,
        caller: &Caller,
        gateways: &[impl AsRef<Gateway>],
    ) -> Result<Option<Self>, PageError> {
        if !caller.may(Permission::ReadGrants) {
            return Ok(None);
        }
        let now = state.broker.clock().now();
        let counts = state.broker.grant_counts(caller).await?;
        let mut attention = providers_down(state, now);
        attention.extend(gateways.iter().filter_map(|gateway| refused(gateway.as_ref())));
        attention.extend(gateways.iter().filter_map(|gateway| moved(gateway.as_ref())));
        if caller.may(Permission::ReadCleanup) {
            let cleanup = state.broker.cleanup_overview(caller).await?;
            let held = cleanup.last_finished.filter(|run| run.hold_reason.is_some());
            attention.extend(held.map(|run| held_grants(run.held_count)));
            attention.extend(cleanup.overdue.map(|text| overdue(&text)));
        }
        attention.extend(to_authorize(&counts));
        Ok(Some(Self::new(attention, &counts)))
    }

    fn new(attention: Vec<Attention>, counts: &GrantCounts) -> Self {
        let parts = HEALTHS.map(|health| (health, counts.of_health(health)));
        Self {
            attention,
            total: counts.total(),
            legend: parts.iter().map(|(health, count)| (Badge::health(*health), *count)).collect(),
            plot: Plot(parts),
        }
    }
}

fn providers_down(state: &AppState, now: Timestamp) -> Vec<Attention> {
    let outages = state.broker.circuits().into_iter();
    outages
        .map(|outage| Attention {
            tone: Tone::Bad,
            text: format!(
                "{} has not answered since {}. No grant is lost; the next probe goes out {}.",
                outage.provider,
                distance(outage.since, now),
                distance(outage.next_probe, now)
            ),
            href: "/ui/audit?action=circuit.".to_owned(),
            label: "See when",
        })
        .collect()
}

fn refused(gateway: &Gateway) -> Option<Attention> {
    let GatewayAuthorization::OAuth(settings) = &gateway.authorization else { return None };
    let problem = settings.registration_problem.as_ref()?;
    Some(Attention {
        tone: Tone::Bad,
        text: format!(
            "The provider of {} refuses Doorward’s registration ({}). Its grants are kept, but none can be refreshed.",
            gateway.name, problem.code
        ),
        href: format!("/ui/gateways/{}", gateway.id),
        label: "Mend it",
    })
}

/// The server names another authorization server than the one that an administrator saw.
fn moved(gateway: &Gateway) -> Option<Attention> {
    let settings = gateway.oauth()?;
    let (before, now) = (settings.former_issuer.as_ref()?, settings.issuer.as_ref()?);
    Some(Attention {
        tone: Tone::Warn,
        text: format!(
            "{} now authorizes people at {now}, no longer at {before}; everybody is asked again. Make sure that this was meant.",
            gateway.name
        ),
        href: format!("/ui/gateways/{}", gateway.id),
        label: "Look at it",
    })
}

fn held_grants(count: u64) -> Attention {
    let what = if count == 1 { "1 grant".to_owned() } else { format!("{count} grants") };
    Attention {
        tone: Tone::Warn,
        text: format!("Cleanup holds {what} for an administrator’s word."),
        href: "/ui/cleanup".to_owned(),
        label: "Look at them",
    }
}

fn overdue(text: &str) -> Attention {
    Attention {
        tone: Tone::Warn,
        text: crate::ui::form::sentence(text),
        href: "/ui/cleanup".to_owned(),
        label: "Cleanup",
    }
}

fn to_authorize(counts: &GrantCounts) -> Option<Attention> {
    let waiting = counts.of_health(Health::NeedsAuthorization) + counts.of_health(Health::Expired);
    let text = match waiting {
        0 => return None,
        1 => "1 grant needs its user to authorize again; the next call asks.".to_owned(),
        many => format!("{many} grants need their users to authorize again; the next call asks."),
    };
    let href = "/ui/oauth-tokens?health=needs_authorization".to_owned();
    Some(Attention { tone: Tone::Info, text, href, label: "See whose" })
}

/// Grants by health, as one bar. The legend says the same in words.
pub(super) struct Plot([(Health, u64); 6]);

impl Display for Plot {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        let total: u64 = self.0.iter().map(|(_, count)| count).sum();
        write!(
            f,
            r#"<svg class="plot" viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true">"#
        )?;
        let mut x = 0.0;
        for (health, count) in self.0 {
            let width = if total == 0 { 0.0 } else { count as f64 / total as f64 * 1_000.0 };
            if width > 0.0 {
                let tone = class_of(Badge::health(health).tone, is_faint(health));
                write!(f, r#"<rect class="{tone}" x="{x:.1}" y="0" width="{width:.1}" height="12"/>"#)?;
            }
            x += width;
        }
        write!(f, "</svg>")
    }
}

impl HtmlSafe for Plot {}

#[cfg(test)]
pub(super) fn sample() -> Watch {
    use doorward_domain::AccessTokenStatus::{Expired, Valid};
    let counts = GrantCounts {
        as_of: crate::ui::samples::NOW,
        counted: vec![
            (Health::Valid, Valid, 1_204),
            (Health::NeedsAuthorization, Expired, 21),
            (Health::Orphaned, Valid, 3),
        ],
    };
    let mut attention = vec![held_grants(140), overdue("cleanup has not run yet")];
    attention.extend(to_authorize(&counts));
    Watch::new(attention, &counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_long_as_the_numbers_say_and_empty_without_any() {
        let of = |counts: [u64; 6]| Plot(std::array::from_fn(|at| (HEALTHS[at], counts[at]))).to_string();
        let half = of([1, 0, 0, 0, 1, 0]);
        assert_eq!(half.matches("width=\"500.0\"").count(), 2, "{half}");
        assert!(half.contains("class=\"ok\" x=\"0.0\"") && half.contains("class=\"bad\" x=\"500.0\""));
        assert!(!of([0; 6]).contains("<rect"));
    }

    #[test]
    fn each_thing_leads_to_where_it_is_mended() {
        let watch = sample();
        assert_eq!(watch.attention.len(), 3);
        assert!(watch.attention.iter().all(|one| one.href.starts_with("/ui/") && one.text.ends_with('.')));
        assert_eq!(watch.total, 1_228);
        let mut gateway = crate::ui::samples::oauth_gateway();
        assert_eq!(refused(&gateway), None);
        if let GatewayAuthorization::OAuth(settings) = &mut gateway.authorization {
            let since = crate::ui::samples::NOW;
            settings.registration_problem =
                Some(doorward_domain::RegistrationProblem { code: "invalid_client".into(), since });
        }
        assert!(refused(&gateway).unwrap().text.contains("invalid_client"));
    }
}
