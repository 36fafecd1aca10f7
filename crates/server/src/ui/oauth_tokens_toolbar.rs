//! What stands above the list of OAuth tokens: search, filters, order, export.

use crate::ui::oauth_tokens_view::{SORTS, View};
use crate::ui::parts::{Choice, host_of};
use crate::ui::words::word;
use doorward_domain::{AccessTokenStatus, Gateway, OAuthSettings};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The form, with what is chosen.
pub(super) struct Toolbar {
    pub(super) q: String,
    /// Filters that are chosen elsewhere, and stay when this form is sent.
    pub(super) kept: Vec<(&'static str, String)>,
    pub(super) gateways: Vec<Choice>,
    pub(super) providers: Vec<Choice>,
    pub(super) statuses: Vec<Choice>,
    pub(super) sorts: Vec<Choice>,
    pub(super) export: String,
}

impl Toolbar {
    pub(super) fn new(view: &View, gateways: &[Arc<Gateway>]) -> Self {
        let filter = &view.filter;
        let kept = view.filter_parts().into_iter();
        let kept = kept.filter(|(name, value)| matches!(*name, "user" | "health") && !value.is_empty());
        Self {
            q: filter.q.clone().unwrap_or_default(),
            kept: kept.collect(),
            gateways: gateway_choices(view, gateways),
            providers: provider_choices(view, gateways),
            statuses: status_choices(filter.access_token_status),
            sorts: sort_choices(view),
            export: view.export_href(),
        }
    }
}

/// The usual order needs no word in the URL.
fn sort_choices(view: &View) -> Vec<Choice> {
    let (chosen, usual) = (view.sort_word(), View::default().sort_word());
    let value = |sort: &'static str| if sort == usual { "" } else { sort };
    SORTS.map(|(sort, label)| Choice::new(value(sort), label, sort == chosen)).into()
}

fn gateway_choices(view: &View, gateways: &[Arc<Gateway>]) -> Vec<Choice> {
    let chosen = view.filter.gateway;
    let with_oauth = gateways.iter().filter(|gateway| gateway.oauth().is_some());
    let choices = with_oauth.map(|gateway| {
        Choice::new(gateway.id.to_string(), gateway.slug.as_str(), chosen == Some(gateway.id))
    });
    std::iter::once(Choice::any("All gateways", chosen.is_none())).chain(choices).collect()
}

fn provider_choices(view: &View, gateways: &[Arc<Gateway>]) -> Vec<Choice> {
    let chosen = view.filter.provider.as_deref();
    let mut providers: BTreeSet<String> =
        gateways.iter().filter_map(|gateway| gateway.oauth()).map(OAuthSettings::issuer_key).collect();
    providers.extend(chosen.map(str::to_owned));
    let choices = providers
        .iter()
        .map(|provider| Choice::new(provider.as_str(), host_of(provider), chosen == Some(provider.as_str())));
    std::iter::once(Choice::any("All providers", chosen.is_none())).chain(choices).collect()
}

fn status_choices(chosen: Option<AccessTokenStatus>) -> Vec<Choice> {
    let choices = [
        (AccessTokenStatus::Valid, "Access token valid"),
        (AccessTokenStatus::ExpiringSoon, "Access token expiring soon"),
        (AccessTokenStatus::Expired, "Access token expired"),
    ];
    let choices = choices.map(|(status, label)| Choice::new(word(status), label, chosen == Some(status)));
    std::iter::once(Choice::any("Any access token", chosen.is_none())).chain(choices).collect()
}
