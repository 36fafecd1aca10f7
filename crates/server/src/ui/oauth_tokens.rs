//! "OAuth tokens": everybody's authorizations, with filters that stand in the URL.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::Asked;
use crate::ui::health::in_short;
use crate::ui::oauth_token_details::{TokenDetails, read};
use crate::ui::oauth_tokens_toolbar::Toolbar;
use crate::ui::oauth_tokens_view::{LIST, View};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Icon, Moment, Tab, grouped, host_of};
use crate::ui::words::href;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_broker::Caller;
use doorward_domain::{
    Gateway, GrantCounts, GrantSort, GrantSortColumn, Health, ListedGrant, Permission, Timestamp,
};
use std::sync::Arc;

/// The list.
#[derive(Template)]
#[template(path = "oauth_tokens.html")]
struct OAuthTokensPage {
    frame: Frame,
    tabs: Vec<Tab>,
    counts: Vec<Count>,
    toolbar: Toolbar,
    chip: Option<Chip>,
    filtered: bool,
    may_revoke: bool,
    /// Where tokens obtained elsewhere are deposited; none where nobody may, or not this reader.
    deposit: Option<String>,
    rows: Vec<Row>,
    beside: Option<Beside>,
    expires: Heading,
    last_used: Heading,
    /// Goes along with what is done to the selected, so that it leads back here.
    view: String,
    revoke_all: String,
    reauthorize_all: String,
    first: Option<String>,
    next: Option<String>,
}

/// One of them closely, beside the list; on a narrow screen in its place.
struct Beside {
    /// None, where it has ended since.
    token: Option<TokenDetails>,
    /// Goes along with what is done to it.
    view: String,
    /// The list alone.
    close: String,
}

/// How many there are of a health; also the filter for it.
struct Count {
    href: String,
    here: bool,
    number: String,
    label: &'static str,
    class: &'static str,
    icon: Option<Icon>,
}

/// A filter that no drop-down shows.
struct Chip {
    label: String,
    without: String,
}

/// The head of a column that the list can be sorted by.
struct Heading {
    href: String,
    /// As `aria-sort` says it; empty where the list is sorted otherwise.
    sorted: &'static str,
}

struct Row {
    id: String,
    /// The same view with its details beside.
    href: String,
    /// Whether its details are those that stand beside.
    here: bool,
    name: String,
    email: String,
    slug: String,
    provider: String,
    provider_host: String,
    scope: Option<String>,
    more_scopes: usize,
    all_scopes: String,
    badge: Badge,
    in_short: String,
    reason: &'static str,
    deposited_by: Option<String>,
    expires: Option<Moment>,
    last_used: Option<Moment>,
    refreshed: Option<Moment>,
}

impl Row {
    fn new(grant: &ListedGrant, view: &View, now: Timestamp) -> Self {
        let (name, email) = named(grant);
        let relative = |at: Option<Timestamp>| at.map(|at| Moment::relative(at, now));
        Self {
            id: grant.id.to_string(),
            href: view.selecting(grant.id).href(),
            here: view.selected == Some(grant.id),
            name,
            email,
            slug: grant.gateway.slug.clone(),
            provider_host: host_of(&grant.provider).to_owned(),
            provider: grant.provider.clone(),
            scope: grant.scopes_granted.first().cloned(),
            more_scopes: grant.scopes_granted.len().saturating_sub(1),
            all_scopes: grant.scopes_granted.join(" "),
            badge: Badge::health(grant.health),
            in_short: in_short(grant, now),
            reason: grant.health_reason(),
            deposited_by: grant.deposited_by.clone(),
            expires: relative(grant.expires_at),
            last_used: relative(grant.last_used_at),
            refreshed: relative(grant.last_refreshed_at),
        }
    }
}

/// The name and e-mail address of whose grant it is; the address alone where there is no name.
pub(super) fn named(grant: &ListedGrant) -> (String, String) {
    match &grant.user {
        Some(user) if user.name.is_empty() => (user.email.clone(), String::new()),
        Some(user) => (user.name.clone(), user.email.clone()),
        None => ("The gateway itself".to_owned(), String::new()),
    }
}

/// The two views of the subject.
pub(super) fn tabs(ended: bool) -> Vec<Tab> {
    vec![
        Tab { href: LIST.to_owned(), label: "In force", here: !ended },
        Tab { href: format!("{LIST}/ended"), label: "Recently ended", here: ended },
    ]
}

fn counts(counted: &GrantCounts, view: &View) -> Vec<Count> {
    let all = Count {
        href: view.with_health(None),
        here: view.filter.health.is_none(),
        number: grouped(counted.total()),
        label: "All",
        class: "",
        icon: None,
    };
    let of_health = |health| {
        let badge = Badge::health(health);
        Count {
            href: view.with_health(Some(health)),
            here: view.filter.health == Some(health),
            number: grouped(counted.of_health(health)),
            label: badge.word,
            class: badge.tone.class(),
            icon: Some(badge.icon),
        }
    };
    std::iter::once(all).chain(Health::ALL.into_iter().map(of_health)).collect()
}

fn heading(view: &View, column: GrantSortColumn, descending_first: bool) -> Heading {
    let here = view.sort.column == column;
    let descending = if here { !view.sort.descending } else { descending_first };
    let sorted = match (here, view.sort.descending) {
        (false, _) => "",
        (true, true) => "descending",
        (true, false) => "ascending",
    };
    Heading { href: view.sorted(GrantSort { column, descending }), sorted }
}

fn chip(view: &View, grants: &[ListedGrant]) -> Option<Chip> {
    view.filter.user?;
    let user = grants.first().and_then(|grant| grant.user.as_ref());
    let label = user.map_or_else(|| "one person".to_owned(), |user| user.email.clone());
    Some(Chip { label, without: view.with(|filter| filter.user = None) })
}

/// What the reader may do beyond reading.
#[derive(Clone, Copy)]
struct May {
    revoke: bool,
    deposit: bool,
}

/// The form of a deposit, at the gateway that the list is narrowed to.
fn deposit_href(view: &View) -> String {
    let gateway = view.filter.gateway.map(|id| id.to_string()).unwrap_or_default();
    href("/ui/oauth-tokens/deposit", &[("gateway", gateway)])
}

/// What a page of the list is made from.
struct Found {
    counted: Arc<GrantCounts>,
    gateways: Vec<Arc<Gateway>>,
    grants: Vec<ListedGrant>,
    next_cursor: Option<String>,
    beside: Option<Beside>,
}

impl OAuthTokensPage {
    fn new(frame: Frame, view: &View, may: May, found: Found, now: Timestamp) -> Self {
        Self {
            frame,
            tabs: tabs(false),
            counts: counts(&found.counted, view),
            toolbar: Toolbar::new(view, &found.gateways),
            chip: chip(view, &found.grants),
            filtered: !view.filter.is_empty(),
            may_revoke: may.revoke,
            deposit: may.deposit.then(|| deposit_href(view)),
            rows: found.grants.iter().map(|grant| Row::new(grant, view, now)).collect(),
            beside: found.beside,
            expires: heading(view, GrantSortColumn::ExpiresAt, false),
            last_used: heading(view, GrantSortColumn::LastUsedAt, true),
            view: View { selected: None, ..view.clone() }.query(),
            revoke_all: view.many_href("revoke"),
            reauthorize_all: view.many_href("reauthorize"),
            first: view.first_href(),
            next: view.next_href(found.next_cursor),
        }
    }
}

/// The details that the view has open. That it has ended since is no reason to show no list.
async fn beside(state: &AppState, caller: &Caller, view: &View) -> Result<Option<Beside>, PageError> {
    let Some(id) = view.selected else { return Ok(None) };
    let token = match read(state, caller, id).await {
        Ok(token) => Some(token),
        Err(error) if error == PageError::NOT_FOUND => None,
        Err(error) => return Err(error),
    };
    Ok(Some(Beside { token, view: view.query(), close: view.close_href() }))
}

/// `GET /ui/oauth-tokens`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let view = View::asked(&asked);
    let request = asked.page();
    let (counted, grants) = tokio::try_join!(
        state.broker.grant_counts(caller),
        state.broker.list_grants(caller, &view.filter, view.sort, &request)
    )?;
    let gateways = state.broker.gateways(caller).await?;
    let beside = beside(&state, caller, &view).await?;
    let found = Found { counted, gateways, grants: grants.items, next_cursor: grants.next_cursor, beside };
    let frame = Frame::new(&state, &session, Here::OAuthTokens).noted(&asked);
    let may =
        May { revoke: caller.may(Permission::RevokeGrants), deposit: state.broker.offers_deposits(caller) };
    let now = state.broker.clock().now();
    Ok(page::page(&OAuthTokensPage::new(frame, &view, may, found, now)))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::{oauth_token_details, samples};
    let page = |query: &str, grants: Vec<ListedGrant>, may_revoke| {
        let view = View::asked(&serde_urlencoded::from_str(query).unwrap());
        let gateways = samples::gateways().into_iter().map(Arc::new).collect();
        let counted = Arc::new(samples::grant_counts());
        let token = || oauth_token_details::sample(samples::failing_details(), may_revoke);
        let beside = view.selected.map(|id| Beside {
            token: grants.iter().any(|grant| grant.id == id).then(token),
            view: view.query(),
            close: view.close_href(),
        });
        let found = Found { counted, gateways, grants, next_cursor: Some("n&xt".into()), beside };
        let frame = Frame::sample(Here::OAuthTokens);
        let may = May { revoke: may_revoke, deposit: may_revoke };
        OAuthTokensPage::new(frame, &view, may, found, samples::NOW).render().unwrap()
    };
    let first = "q=a&cursor=x&selected=00000000-0000-0000-0000-000000000001";
    let ended = "selected=0190f5d2-7c1e-7000-8000-000000000009";
    let user = "user=0190f5d2-7c1e-7000-8000-000000000001&cursor=x&health=valid&sort=-last_used_at";
    vec![
        ("oauth-tokens", page("", samples::listed_grants(), true)),
        ("oauth-tokens-filtered", page(user, samples::listed_grants(), true)),
        ("oauth-tokens-read-only", page("q=%22%3E%3Cscript%3Ealert(1)", samples::listed_grants(), false)),
        ("oauth-tokens-details", page(first, samples::listed_grants(), true)),
        ("oauth-tokens-details-read-only", page(first, samples::listed_grants(), false)),
        ("oauth-tokens-details-ended", page(ended, samples::listed_grants(), true)),
        ("oauth-tokens-empty", page("", vec![], true)),
        ("oauth-tokens-no-match", page("q=nobody", vec![], true)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_sorts_by_its_column_and_then_the_other_way_round() {
        let view = |query| View::asked(&serde_urlencoded::from_str(query).unwrap());
        let first = heading(&view(""), GrantSortColumn::LastUsedAt, true);
        assert_eq!((first.href.as_str(), first.sorted), ("/ui/oauth-tokens?sort=-last_used_at", ""));
        let again = heading(&view("sort=-last_used_at&q=a"), GrantSortColumn::LastUsedAt, true);
        assert_eq!(
            (again.href.as_str(), again.sorted),
            ("/ui/oauth-tokens?q=a&sort=last_used_at", "descending")
        );
    }

    #[test]
    fn details_stand_beside_the_list_and_every_link_of_theirs_keeps_the_view() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        let (open, id) = (page("oauth-tokens-details"), "00000000-0000-0000-0000-000000000001");
        assert_eq!(open.matches("aria-current=\"true\"").count(), 2, "all healths, and the row");
        assert!(open.contains("href=\"/ui/oauth-tokens?q=a&#38;cursor=x\" aria-label=\"Close the details\""));
        assert!(
            open.contains(&format!("/{id}/revoke?view=q%3Da%26cursor%3Dx%26selected%3D{id}\"")),
            "{open}"
        );
        assert!(open.contains("<title>H. Tanaka") && !open.contains("Tanaka <b>"));
        assert!(!page("oauth-tokens-details-read-only").contains("Revoke…"));
        assert!(page("oauth-tokens-details-ended").contains("not in force any more"));
        assert!(!page("oauth-tokens").contains("data-details"));
    }

    #[test]
    fn what_only_some_may_do_is_shown_to_them_alone() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        assert!(
            page("oauth-tokens").contains("value=\"revoke\"") && page("oauth-tokens").contains("name=\"id\"")
        );
        assert!(!page("oauth-tokens").contains("all=yes"), "nothing is chosen, so everybody would be meant");
        assert!(page("oauth-tokens-filtered").contains("all=yes"));
        let read_only = page("oauth-tokens-read-only");
        assert!(!read_only.contains("Revoke") && !read_only.contains("name=\"id\""));
        assert!(page("oauth-tokens-no-match").contains("Nothing matches"));
        assert!(page("oauth-tokens-empty").contains("No authorizations yet"));
    }
}
