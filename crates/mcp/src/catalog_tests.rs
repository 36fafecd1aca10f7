//! Reading, keeping and serving catalogs.

use super::*;
use crate::envelope::text_member;
use crate::revision::Revision;
use crate::upstream::tests::credentials::{grant, oauth_gateway};
use crate::upstream::tests::fixture::{House, Seen, Upstream, answer_to, error_to, plain_text};
use doorward_domain::CatalogSharing;
use futures_util::future::join_all;
use http::StatusCode;

const LATEST: Revision = Revision::LATEST;

fn catalogs(house: &House) -> Catalogs {
    Catalogs::new(house.upstreams.clone(), &house.broker, house.storage.clone())
}

fn cursor(seen: &Seen) -> Option<String> {
    seen.envelope().params.and_then(|params| text_member(params, "cursor")).map(std::borrow::Cow::into_owned)
}

/// Two pages of tools, a resource, a template, a prompt.
async fn full() -> Upstream {
    Upstream::with(LATEST, |seen| async move {
        let result = match (seen.method(), cursor(&seen).as_deref()) {
            ("tools/list", None) => r#"{"tools":[{"name":"a","v":1.10},{"name":"b"},{"odd":1}],"nextCursor":""}"#,
            ("tools/list", Some("")) => r#"{"tools":[{"name":"a","second":1},{ "name" : "c", "n":12345678901234567890123 }],"nextCursor":null}"#,
            ("resources/list", _) => r#"{"resources":[{"uri":"file:///x"}]}"#,
            ("resources/templates/list", _) => r#"{"resourceTemplates":[{"uriTemplate":"t://{id}"}]}"#,
            ("prompts/list", _) => r#"{"prompts":[{"name":"p"}]}"#,
            _ => return None,
        };
        Some(answer_to(&seen, &result.replacen('{', r#"{"resultType":"complete","#, 1)))
    })
    .await
}

fn known(state: CatalogState) -> Arc<IndexedCatalog> {
    match state {
        CatalogState::Known(catalog) => catalog,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn all_lists_are_read_page_by_page_and_kept_as_they_are() {
    let house = House::new().await;
    let upstream = full().await;
    let gateway = house.gateway(&upstream).await;
    let catalogs = catalogs(&house);
    let catalog = known(catalogs.of(&house.alice, &gateway).await);
    let texts: Vec<&str> = catalog.items.iter().map(|item| item.json.as_str()).collect();
    assert_eq!(
        texts,
        [
            r#"{"name":"a","v":1.10}"#,
            r#"{"name":"b"}"#,
            r#"{ "name" : "c", "n":12345678901234567890123 }"#,
            r#"{"uri":"file:///x"}"#,
            r#"{"uriTemplate":"t://{id}"}"#,
            r#"{"name":"p"}"#
        ]
    );
    assert!(
        catalog.lists(CatalogKind::Resource, "file:///x")
            && !catalog.lists(CatalogKind::Resource, "t://{id}")
    );
    let names = catalogs.names().table().await.unwrap();
    assert_eq!(names.exposed(CatalogKind::Tool, gateway.id, "c"), Some("up-c"));
    assert_eq!(names.original(CatalogKind::Prompt, "up-p"), Some((gateway.id, "p")));
    let requests = upstream.all().len();
    known(catalogs.of(&house.alice, &gateway).await);
    let after_restart = self::catalogs(&house);
    assert_eq!(known(after_restart.of(&house.alice, &gateway).await).items, catalog.items);
    assert_eq!(
        after_restart.names().table().await.unwrap().exposed(CatalogKind::Tool, gateway.id, "a"),
        Some("up-a")
    );
    assert_eq!(upstream.all().len(), requests);
}

#[tokio::test]
async fn callers_at_the_same_time_cause_one_reading() {
    let house = House::new().await;
    let upstream = full().await;
    let gateway = house.gateway(&upstream).await;
    let catalogs = catalogs(&house);
    join_all((0..20).map(|_| async { known(catalogs.of(&house.alice, &gateway).await) })).await;
    assert_eq!(upstream.seen("prompts/list").len(), 1);
}

#[tokio::test]
async fn a_shared_catalog_is_for_all_and_a_users_own_for_nobody_else() {
    let house = House::new().await;
    let bob = house.person("bob").await;
    let upstream = full().await;
    let catalogs = catalogs(&house);
    let own = house.gateway(&upstream).await;
    let shared = Gateway {
        client_certificate: None,
        catalog_sharing: CatalogSharing::Shared,
        slug: doorward_domain::Slug::parse("all").unwrap(),
        ..(*own).clone()
    };
    let shared = house.register(shared).await;
    for gateway in [&own, &shared] {
        known(catalogs.of(&house.alice, gateway).await);
        known(catalogs.of(&bob, gateway).await);
    }
    assert_eq!(upstream.seen("prompts/list").len(), 3);
    assert!(house.storage.catalog(shared.id, None).await.unwrap().is_some());
    assert!(house.storage.catalog(own.id, Some(bob.user.id)).await.unwrap().is_some());
}

#[tokio::test]
async fn an_old_catalog_is_served_and_read_again_behind_it() {
    let house = House::new().await;
    let upstream = full().await;
    let gateway = house.gateway(&upstream).await;
    let catalogs = catalogs(&house);
    known(catalogs.of(&house.alice, &gateway).await);
    house.clock.advance(FRESH_FOR + Duration::from_secs(1));
    let served = known(catalogs.of(&house.alice, &gateway).await);
    let again = catalogs.read_again(&house.alice, &gateway).await.unwrap();
    assert_eq!(upstream.seen("prompts/list").len(), 2);
    assert!(served.fetched_at < again.fetched_at);
    assert_eq!(known(catalogs.of(&house.alice, &gateway).await).fetched_at, again.fetched_at);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_left_alone_for_a_while() {
    let house = House::new().await;
    let upstream =
        Upstream::with(LATEST, |_| async { Some(plain_text(StatusCode::INTERNAL_SERVER_ERROR, "")) }).await;
    let gateway = house.gateway(&upstream).await;
    let catalogs = catalogs(&house);
    assert!(matches!(catalogs.of(&house.alice, &gateway).await, CatalogState::Unreachable(_)));
    let requests = upstream.all().len();
    assert!(matches!(catalogs.of(&house.alice, &gateway).await, CatalogState::Unreachable(_)));
    assert_eq!(upstream.all().len(), requests);
    assert!(catalogs.read_again(&house.alice, &gateway).await.is_err());
    assert!(upstream.all().len() > requests);
    assert!(house.storage.catalog(gateway.id, Some(house.alice.user.id)).await.unwrap().is_none());
}

#[tokio::test]
async fn lists_that_are_refused_are_empty_and_endless_ones_are_errors() {
    let house = House::new().await;
    let refusing = Upstream::with(LATEST, |seen| async move {
        match seen.method() {
            "tools/list" => Some(answer_to(&seen, r#"{"resultType":"complete","tools":[{"name":"a"}]}"#)),
            "prompts/list" => Some(error_to(&seen, 404, -32_601)),
            "resources/list" | "resources/templates/list" => Some(error_to(&seen, 200, -32_000)),
            _ => None,
        }
    })
    .await;
    let catalogs = catalogs(&house);
    let gateway = house.gateway(&refusing).await;
    assert_eq!(known(catalogs.of(&house.alice, &gateway).await).items.len(), 1);
    for (slug, tools) in [
        ("same", r#"{"tools":[],"nextCursor":"x"}"#.to_owned()),
        (
            "large",
            format!(r#"{{"tools":[{{"name":"a","d":"{}"}}],"nextCursor":"x"}}"#, "x".repeat(9_000_000)),
        ),
        ("none", r#"{"tools":7}"#.to_owned()),
    ] {
        let upstream = Upstream::with(LATEST, move |seen| {
            let tools = tools.clone();
            async move { (seen.method() == "tools/list").then(|| answer_to(&seen, &tools)) }
        })
        .await;
        let gateway = house.gateway_named(&upstream, slug).await;
        let state = catalogs.of(&house.alice, &gateway).await;
        assert!(matches!(&state, CatalogState::Unreachable(CallError::Broken { .. })), "{slug} {state:?}");
    }
}

#[tokio::test]
async fn a_tool_whose_header_annotation_is_invalid_is_left_out() {
    let house = House::new().await;
    let upstream = Upstream::with(LATEST, |seen| async move {
        let tools = r#"{"resultType":"complete","tools":[{"name":"bad","inputSchema":{"x-mcp-header":"A"}},{"name":"good"}]}"#;
        match seen.method() {
            "tools/list" => Some(answer_to(&seen, tools)),
            "server/discover" => None,
            _ => Some(error_to(&seen, 404, -32_601)),
        }
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let catalog = catalogs(&house).read_again(&house.alice, &gateway).await.unwrap();
    assert_eq!(catalog.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[tokio::test]
async fn a_catalog_is_read_by_itself_after_a_consent() {
    let house = House::new().await;
    let upstream = full().await;
    let gateway = house.gateway(&upstream).await;
    let catalogs = catalogs(&house);
    read_for(Arc::downgrade(&catalogs.inner), house.alice.user.id, gateway.id);
    upstream.wait_for(|seen| seen.method() == "prompts/list").await;
    known(catalogs.of(&house.alice, &gateway).await);
    assert_eq!(upstream.seen("prompts/list").len(), 1);
}

#[tokio::test]
async fn a_user_without_a_grant_must_authorize_and_keeps_what_is_known() {
    let house = House::new().await;
    let upstream = full().await;
    let gateway = oauth_gateway(&house, &upstream, "http://127.0.0.1:1").await;
    let catalogs = catalogs(&house);
    assert!(matches!(catalogs.of(&house.alice, &gateway).await, CatalogState::MustAuthorize));
    assert!(upstream.all().is_empty());
    grant(&house, &house.alice, &gateway, "token").await;
    known(catalogs.of(&house.alice, &gateway).await);
    let bob = house.person("bob").await;
    assert!(matches!(catalogs.of(&bob, &gateway).await, CatalogState::MustAuthorize));
    assert!(upstream.all().iter().all(|seen| seen.header("authorization") == Some("Bearer token")));
}

#[tokio::test]
async fn a_changed_list_replaces_what_was_known_on_every_side() {
    let house = House::new().await;
    let second = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = Arc::clone(&second);
    let upstream = Upstream::with(LATEST, move |seen| {
        let name = if switch.load(Ordering::SeqCst) { "new" } else { "old" };
        async move {
            match seen.method() {
                "server/discover" => None,
                "tools/list" => Some(answer_to(&seen, &format!(r#"{{"tools":[{{"name":"{name}"}}]}}"#))),
                _ => Some(error_to(&seen, 404, -32_601)),
            }
        }
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let (here, there) = (catalogs(&house), catalogs(&house));
    known(here.of(&house.alice, &gateway).await);
    known(there.of(&house.alice, &gateway).await);
    second.store(true, Ordering::SeqCst);
    here.read_again(&house.alice, &gateway).await.unwrap();
    assert_eq!(known(there.of(&house.alice, &gateway).await).items[0].name, "new");
    let names = there.names().table().await.unwrap();
    assert_eq!(names.original(CatalogKind::Tool, "up-new"), Some((gateway.id, "new")));
}

#[tokio::test]
async fn a_reading_that_fails_on_the_inside_has_an_end() {
    let house = House::new().await;
    let gateway = house.gateway(&full().await).await;
    let error = in_bounds(&gateway, async { panic!("a test's own") }).await.unwrap_err();
    assert!(error.to_string().contains("its log says more"), "{error}");
}
