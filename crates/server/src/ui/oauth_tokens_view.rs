//! What of the list of OAuth tokens somebody looks at. The URL keeps all of it, so that a view can be sent on.

use crate::ui::form::Fields;
use crate::ui::words::{href, meant, query, word};
use doorward_domain::{GrantFilter, GrantId, GrantSort, GrantSortColumn, Health};

pub(super) const LIST: &str = "/ui/oauth-tokens";

/// Filters, order, which page, and whose details stand beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) filter: GrantFilter,
    pub(super) sort: GrantSort,
    pub(super) cursor: Option<String>,
    pub(super) selected: Option<GrantId>,
}

/// Every order, as REST spells it, and what it says.
pub(super) const SORTS: [(&str, &str); 6] = [
    ("-created_at", "Newest first"),
    ("created_at", "Oldest first"),
    ("-last_used_at", "Last used first"),
    ("last_used_at", "Longest unused first"),
    ("expires_at", "Expires first"),
    ("-expires_at", "Expires last"),
];

impl View {
    /// What a URL or a form asks for. What is no value is no filter.
    pub(super) fn asked(asked: &Fields) -> Self {
        let filter = GrantFilter {
            user: asked.text("user").parse().ok(),
            gateway: asked.text("gateway").parse().ok(),
            provider: asked.filled("provider"),
            health: meant(asked.text("health")),
            access_token_status: meant(asked.text("access_token_status")),
            q: asked.filled("q"),
        };
        Self {
            filter,
            sort: sort_of(asked.text("sort")),
            cursor: asked.filled("cursor"),
            selected: asked.text("selected").parse().ok(),
        }
    }

    /// The view that a form or a link carries along, so that what it does leads back there.
    pub(super) fn carried(fields: &Fields) -> Self {
        let view: Fields = serde_urlencoded::from_str(fields.raw("view")).unwrap_or_default();
        Self::asked(&view)
    }

    /// Where somebody came from who did something to one: its details beside the list, or on their own page.
    pub(super) fn back_to(fields: &Fields, id: GrantId, note: &str) -> String {
        let view = Self::carried(fields);
        let beside = view.selected == Some(id);
        let (path, mut parts) =
            if beside { (LIST.to_owned(), view.parts()) } else { (format!("{LIST}/{id}"), Vec::new()) };
        parts.push(("note", note.to_owned()));
        href(&path, &parts)
    }

    /// The filter by the names that REST knows it by.
    pub(super) fn filter_parts(&self) -> Vec<(&'static str, String)> {
        let GrantFilter { user, gateway, provider, health, access_token_status, q } = &self.filter;
        vec![
            ("q", q.clone().unwrap_or_default()),
            ("user", user.map(|id| id.to_string()).unwrap_or_default()),
            ("gateway", gateway.map(|id| id.to_string()).unwrap_or_default()),
            ("provider", provider.clone().unwrap_or_default()),
            ("health", health.map(word).unwrap_or_default()),
            ("access_token_status", access_token_status.map(word).unwrap_or_default()),
        ]
    }

    /// Everything that makes the view, but for empty parts and the usual order.
    fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts = self.filter_parts();
        if self.sort != GrantSort::default() {
            parts.push(("sort", self.sort_word()));
        }
        parts.push(("cursor", self.cursor.clone().unwrap_or_default()));
        parts.push(("selected", self.selected.map(|id| id.to_string()).unwrap_or_default()));
        parts
    }

    /// The order as REST spells it.
    pub(super) fn sort_word(&self) -> String {
        let column = match self.sort.column {
            GrantSortColumn::CreatedAt => "created_at",
            GrantSortColumn::LastUsedAt => "last_used_at",
            GrantSortColumn::ExpiresAt => "expires_at",
        };
        if self.sort.descending { format!("-{column}") } else { column.to_owned() }
    }

    /// Where this view is.
    pub(super) fn href(&self) -> String {
        href(LIST, &self.parts())
    }

    /// The same as a query, for forms that lead back here.
    pub(super) fn query(&self) -> String {
        query(&self.parts())
    }

    /// The first page of this view.
    fn first(&self) -> Self {
        Self { cursor: None, selected: None, ..self.clone() }
    }

    /// The same view with the details of one beside it.
    pub(super) fn selecting(&self, id: GrantId) -> Self {
        Self { selected: Some(id), ..self.clone() }
    }

    /// The same view without details.
    pub(super) fn close_href(&self) -> String {
        Self { selected: None, ..self.clone() }.href()
    }

    /// Where the first page is, for those who are not on it.
    pub(super) fn first_href(&self) -> Option<String> {
        self.cursor.is_some().then(|| self.first().href())
    }

    /// Where the page at a cursor is.
    pub(super) fn next_href(&self, cursor: Option<String>) -> Option<String> {
        cursor.map(|cursor| Self { cursor: Some(cursor), ..self.first() }.href())
    }

    /// The same view with another part of the filter.
    pub(super) fn with(&self, change: impl FnOnce(&mut GrantFilter)) -> String {
        let mut view = self.first();
        change(&mut view.filter);
        view.href()
    }

    /// The same view of one health, or of all.
    pub(super) fn with_health(&self, health: Option<Health>) -> String {
        self.with(|filter| filter.health = health)
    }

    /// The same view in another order.
    pub(super) fn sorted(&self, sort: GrantSort) -> String {
        Self { sort, ..self.first() }.href()
    }

    /// Where an order about all that the filter lets pass begins.
    pub(super) fn many_href(&self, kind: &str) -> String {
        let mut parts = vec![("do", kind.to_owned()), ("all", "yes".to_owned())];
        parts.extend(self.filter_parts());
        parts.push(("view", self.first().query()));
        href("/ui/oauth-tokens/many", &parts)
    }

    /// The file of what the filter lets pass.
    pub(super) fn export_href(&self) -> String {
        let mut parts = self.filter_parts();
        parts.push(("format", "csv".to_owned()));
        href("/admin/oauth/tokens/export", &parts)
    }
}

fn sort_of(text: &str) -> GrantSort {
    let column = match text.trim_start_matches('-') {
        "created_at" => GrantSortColumn::CreatedAt,
        "last_used_at" => GrantSortColumn::LastUsedAt,
        "expires_at" => GrantSortColumn::ExpiresAt,
        _ => return GrantSort::default(),
    };
    GrantSort { column, descending: text.starts_with('-') }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(query: &str) -> View {
        View::asked(&serde_urlencoded::from_str(query).unwrap())
    }

    #[test]
    fn the_whole_view_stands_in_the_url_and_comes_back_from_it() {
        let url = "q=alice&gateway=0190f5d2-7c1e-7000-8000-000000000001&provider=https%3A%2F%2Fgithub.com&\
                   health=expiring_soon&access_token_status=expired&sort=-last_used_at&cursor=abc&\
                   selected=0190f5d2-7c1e-7000-8000-000000000002";
        let seen = view(url);
        assert_eq!(seen.href(), format!("{LIST}?{url}"));
        assert_eq!(view(&seen.query()), seen);
        for (sort, _) in SORTS {
            assert_eq!(view(&format!("sort={sort}")).sort_word(), sort);
        }
    }

    #[test]
    fn what_is_no_value_is_no_filter() {
        let seen = view("health=boredom&user=me&sort=color&q=+");
        assert_eq!(seen, View::default());
        assert_eq!(seen.href(), LIST);
    }

    #[test]
    fn details_open_beside_the_view_and_close_to_it_and_what_is_done_leads_back_to_them() {
        let id: GrantId = "0190f5d2-7c1e-7000-8000-000000000002".parse().unwrap();
        let open = view("q=a&cursor=c").selecting(id);
        assert_eq!(open.href(), format!("{LIST}?q=a&cursor=c&selected={id}"));
        assert_eq!(open.close_href(), format!("{LIST}?q=a&cursor=c"));
        assert_eq!(open.with_health(None), format!("{LIST}?q=a"), "another filter closes them");
        let sent = |view: String| serde_urlencoded::from_str(&query(&[("view", view)])).unwrap();
        let back = View::back_to(&sent(open.query()), id, "refreshed");
        assert_eq!(back, format!("{LIST}?q=a&cursor=c&selected={id}&note=refreshed"));
        assert_eq!(View::back_to(&sent(String::new()), id, ""), format!("{LIST}/{id}"));
    }

    #[test]
    fn another_filter_or_order_begins_at_the_first_page() {
        let seen = view("q=a&cursor=c");
        assert_eq!(seen.with_health(Some(Health::Expired)), format!("{LIST}?q=a&health=expired"));
        assert_eq!(seen.first_href(), Some(format!("{LIST}?q=a")));
        assert_eq!(seen.next_href(Some("d".into())), Some(format!("{LIST}?q=a&cursor=d")));
        let oldest = GrantSort { column: GrantSortColumn::CreatedAt, descending: false };
        assert_eq!(seen.sorted(oldest), format!("{LIST}?q=a&sort=created_at"));
        assert_eq!(view("").first_href(), None);
        assert_eq!(seen.export_href(), "/admin/oauth/tokens/export?q=a&format=csv");
        assert_eq!(seen.many_href("revoke"), "/ui/oauth-tokens/many?do=revoke&all=yes&q=a&view=q%3Da");
    }
}
