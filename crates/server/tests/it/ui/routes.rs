//! Every route of the pages, read from the table of contents itself, so that no page can be forgotten by
//! the tests that speak of all of them.

use std::collections::BTreeSet;

const TABLE: &str = include_str!("../../../src/ui.rs");

/// A route as the table has it, and whether it answers GET and POST.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) path: String,
    pub(crate) get: bool,
    pub(crate) post: bool,
}

/// Every route of `ui.rs`.
pub(crate) fn all() -> BTreeSet<Route> {
    let routes = TABLE.split(".route(").skip(1).map(|rest| {
        let path = rest.split('"').nth(1).expect("a route has a path");
        let methods = rest.split("\n        .").next().unwrap_or(rest).split("\n}").next().unwrap_or(rest);
        Route { path: path.to_owned(), get: methods.contains("get("), post: methods.contains("post(") }
    });
    routes.collect()
}

/// Whether a path could be one of a route.
pub(crate) fn fits(route: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route.iter().zip(&path).all(|(pattern, part)| pattern.starts_with('{') || pattern == part)
}

/// The route filled with something that is an id and a word, but of nothing.
pub(crate) fn filled(route: &str) -> String {
    let part = |part: &str| match part {
        "{id}" => "0190f5d2-7c1e-7000-8000-000000000001".to_owned(),
        "{*rest}" => "no/such/page".to_owned(),
        part if part.starts_with('{') => "nothing".to_owned(),
        part => part.to_owned(),
    };
    route.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn the_table_is_read_as_it_stands() {
    let all = all();
    let route = |path: &str| all.iter().find(|route| route.path == path).unwrap_or_else(|| panic!("{path}"));
    assert!(route("/ui/cleanup/run").get && route("/ui/cleanup/run").post);
    assert!(!route("/ui/logout").get && route("/ui/logout").post);
    assert!(route("/ui/people").get && !route("/ui/people").post);
    assert_eq!(all.len(), TABLE.matches(".route(").count());
    assert!(
        fits("/ui/people/{id}/{verb}", "/ui/people/1/disable?x=y") && !fits("/ui/people", "/ui/gateways")
    );
    assert_eq!(filled("/connect/{slug}"), "/connect/nothing");
}
