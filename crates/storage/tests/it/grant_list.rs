//! The list of all grants: filters, orders, pages.

use crate::samples::*;
use crate::stage::{Place, Stage};
use doorward_domain::*;
use doorward_storage::StorageError;
use std::collections::BTreeSet;

const COLUMNS: [GrantSortColumn; 3] =
    [GrantSortColumn::CreatedAt, GrantSortColumn::LastUsedAt, GrantSortColumn::ExpiresAt];

fn sorts() -> impl Iterator<Item = GrantSort> {
    COLUMNS.into_iter().flat_map(|column| [true, false].map(|descending| GrantSort { column, descending }))
}

/// Twelve people at three gateways, with moments that many of them share.
async fn crowd(storage: &doorward_storage::Storage) -> Vec<Grant> {
    let mut gateways = Vec::new();
    for slug in ["hub", "mail", "wiki"] {
        gateways.push(stored_gateway(storage, slug).await);
    }
    let mut grants = Vec::new();
    for number in 0..12_u64 {
        let mut person = user(&format!("Person{number}@example.com"));
        person.name = if number % 2 == 0 { "Even Name".into() } else { "Odd Name".into() };
        assert_eq!(
            storage.insert_user(&person, event("user.create")).await.unwrap(),
            doorward_storage::Inserted::Yes
        );
        for gateway in &gateways {
            let mut new = grant(GrantOwner::User(person.id), gateway);
            new.created_at = later(number % 3);
            new.last_used_at = (number % 4 != 0).then(|| later(number % 2));
            new.tokens.expires_at = (number % 5 != 0).then(|| later(100 * (number % 3)));
            if number % 6 == 0 {
                new.state = GrantState::Uncertain;
            }
            if number % 3 == 1 {
                new.fingerprint = Fingerprint("issuer=https://elsewhere.example".into());
            }
            let stored = storage.store_authorized_grant(&new, event("grant.authorize")).await.unwrap();
            assert!(matches!(stored, doorward_storage::StoredGrant::Stored { .. }));
            if let Some(used) = new.last_used_at {
                storage.touch_grants(&[(new.id, used)]).await.unwrap();
            }
            grants.push(storage.grant(new.id).await.unwrap().unwrap());
        }
    }
    grants
}

/// Every page of three rows, until there is none left.
async fn walk(stage: &Stage, filter: &GrantFilter, sort: GrantSort) -> Vec<ListedGrant> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let request = PageRequest { limit: 3, cursor };
        let page = stage.storage.list_grants(filter, sort, &request).await.unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

fn key(grant: &Grant, column: GrantSortColumn) -> i64 {
    match column {
        GrantSortColumn::CreatedAt => grant.created_at.millis(),
        GrantSortColumn::LastUsedAt => grant.last_used_at.map_or(0, Timestamp::millis),
        GrantSortColumn::ExpiresAt => grant.tokens.expires_at.map_or(i64::MAX, Timestamp::millis),
    }
}

fn in_order(grants: impl Iterator<Item = Grant>, sort: GrantSort) -> Vec<GrantId> {
    let mut keys: Vec<_> = grants.map(|grant| (key(&grant, sort.column), grant.id)).collect();
    keys.sort();
    if sort.descending {
        keys.reverse();
    }
    keys.into_iter().map(|(_, id)| id).collect()
}

async fn pages_are_complete_and_in_order_in_every_sort_also_where_moments_are_equal(stage: &Stage) {
    let grants = crowd(&stage.storage).await;
    for sort in sorts() {
        let seen = walk(stage, &GrantFilter::default(), sort).await;
        let ids: Vec<_> = seen.iter().map(|row| row.id).collect();
        assert_eq!(ids, in_order(grants.iter().cloned(), sort), "{sort:?}");
    }
}

async fn a_filter_lets_pass_what_it_says_in_every_sort(stage: &Stage) {
    let storage = &stage.storage;
    let grants = crowd(storage).await;
    let now = stage.clock.now();
    let soon = std::time::Duration::from_secs(86_400);
    let all = walk(stage, &GrantFilter::default(), GrantSort::default()).await;
    let row = |grant: &Grant| all.iter().find(|row| row.id == grant.id).unwrap().clone();
    let alice = row(&grants[4]).user.unwrap();
    let none = GrantFilter::default;
    type Passes<'a> = Box<dyn Fn(&Grant) -> bool + 'a>;
    let hub = grants[0].gateway_id;
    let cases: Vec<(GrantFilter, Passes<'_>)> = vec![
        (GrantFilter { user: Some(alice.id), ..none() }, Box::new(|g| g.owner == GrantOwner::User(alice.id))),
        (GrantFilter { gateway: Some(hub), ..none() }, Box::new(|g| g.gateway_id == hub)),
        (
            GrantFilter { provider: Some("https://elsewhere.example".into()), ..none() },
            Box::new(|g| g.fingerprint.provider() == "https://elsewhere.example"),
        ),
        (
            GrantFilter { health: Some(Health::Uncertain), ..none() },
            Box::new(|g| g.health(now, soon) == Health::Uncertain),
        ),
        (
            GrantFilter { access_token_status: Some(AccessTokenStatus::Expired), ..none() },
            Box::new(|g| g.access_token_status(now, soon) == AccessTokenStatus::Expired),
        ),
        (
            GrantFilter { gateway: Some(hub), health: Some(Health::Valid), ..none() },
            Box::new(|g| g.gateway_id == hub && g.health(now, soon) == Health::Valid),
        ),
        (
            GrantFilter { q: Some("PERSON1".into()), ..none() },
            Box::new(|g| row(g).user.unwrap().email.starts_with("Person1")),
        ),
        (
            GrantFilter { q: Some("even".into()), health: Some(Health::Uncertain), ..none() },
            Box::new(|g| row(g).user.unwrap().name == "Even Name" && g.state == GrantState::Uncertain),
        ),
        (GrantFilter { q: Some("The h".into()), ..none() }, Box::new(|g| g.gateway_id == hub)),
        (GrantFilter { q: Some("wi".into()), ..none() }, Box::new(|g| row(g).gateway.slug == "wiki")),
        (GrantFilter { q: Some("%".into()), ..none() }, Box::new(|_| false)),
        (GrantFilter { q: Some("nul\0".into()), ..none() }, Box::new(|_| false)),
    ];
    for (filter, passes) in cases {
        let wanted: Vec<Grant> = grants.iter().filter(|grant| passes(grant)).cloned().collect();
        for sort in sorts() {
            let seen = walk(stage, &filter, sort).await;
            let ids: Vec<_> = seen.iter().map(|row| row.id).collect();
            assert_eq!(ids, in_order(wanted.iter().cloned(), sort), "{filter:?} {sort:?}");
        }
        assert_eq!(storage.count_grants(&filter, 1_000).await.unwrap(), wanted.len() as u64, "{filter:?}");
        let ids: BTreeSet<GrantId> = wanted.iter().map(|grant| grant.id).collect();
        assert_eq!(in_batches(stage, &filter).await, ids.into_iter().collect::<Vec<_>>(), "{filter:?}");
    }
    assert_eq!(storage.count_grants(&none(), 5).await.unwrap(), 5);
}

async fn in_batches(stage: &Stage, filter: &GrantFilter) -> Vec<GrantId> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let batch = stage.storage.grant_ids(filter, after, 2).await.unwrap();
        let Some(last) = batch.last() else { return seen };
        after = Some(*last);
        seen.extend(batch);
    }
}

async fn a_row_names_its_person_and_gateway_and_a_gateways_own_grant_has_no_person(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "Ada@example.com").await;
    let of_ada = stored_grant(storage, &ada, &hub).await;
    let own = Grant { id: Entropy.id(NOW), ..grant(GrantOwner::Service, &hub) };
    let stored = storage.store_authorized_grant(&own, event("grant.authorize")).await.unwrap();
    assert!(matches!(stored, doorward_storage::StoredGrant::Stored { .. }));
    let rows = walk(stage, &GrantFilter::default(), GrantSort::default()).await;
    let row = rows.iter().find(|row| row.id == of_ada.id).unwrap();
    let user = GrantUser { id: ada.id, email: "Ada@example.com".into(), name: "Ada".into() };
    assert_eq!(row.user, Some(user));
    let gateway = GrantGateway { id: hub.id, slug: "hub".into(), name: "The hub".into() };
    assert_eq!(row.gateway, gateway);
    assert_eq!((&row.provider, row.refreshable), (&of_ada.fingerprint.provider(), true));
    assert_eq!((&row.account, row.expires_at), (&of_ada.account, of_ada.tokens.expires_at));
    assert_eq!(rows.iter().find(|row| row.id == own.id).unwrap().user, None);
}

async fn a_cursor_is_refused_in_another_order(stage: &Stage) {
    crowd(&stage.storage).await;
    let request = PageRequest { limit: 1, cursor: None };
    for sort in sorts() {
        let page = stage.storage.list_grants(&GrantFilter::default(), sort, &request).await.unwrap();
        let next = PageRequest { limit: 1, cursor: page.next_cursor };
        for other in sorts().filter(|other| *other != sort) {
            let refused = stage.storage.list_grants(&GrantFilter::default(), other, &next).await;
            assert!(matches!(refused, Err(StorageError::BadCursor)), "{sort:?} {other:?}");
        }
    }
}

/// Twenty thousand grants of four thousand people, and twenty thousand people without one, so that planners take the table seriously.
async fn many(stage: &Stage) -> (User, Gateway) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    stored_gateway(storage, "mail").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let template = stored_grant(storage, &ada, &hub).await.id;
    let id = |group: &str, n: &str| {
        format!("'0190f5d2-0000-7000-{group}-' || substr(CAST(1000000000000 + {n} AS TEXT), 2)")
    };
    let people = format!(
        "INSERT INTO users (id, email, email_key, name, name_key, role, state, created_at, updated_at, version) \
         WITH RECURSIVE series (n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM series WHERE n < 23999) \
         SELECT {}, CASE WHEN n % 4 = 0 THEN 'several' ELSE 'many' END || n, \
         CASE WHEN n % 4 = 0 THEN 'several' ELSE 'many' END || n, 'N', 'n', 'user', 'active', n, n, 1 FROM series",
        id("9000", "n")
    );
    let columns = "state, fingerprint, provider, scopes_requested, scopes_granted, access_token, \
                   access_token_key_id, ends_at, dies_at, dies_soon_at, access_token_status, status_changes_at, \
                   refresh_number, refresh_due_at, authorized_at, issued_at, failures, exchanged, version, expires_soon_at";
    let selected =
        columns.split(", ").map(|column| format!("t.{}", column.trim())).collect::<Vec<_>>().join(", ");
    let grants = format!(
        "INSERT INTO grants (id, owner_kind, user_id, gateway_id, label, health, created_at, last_used_at, \
         expires_at, {columns}) \
         WITH RECURSIVE series (n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM series WHERE n < 19999) \
         SELECT {}, 'user', {}, w.id, 'l' || n, CASE WHEN n % 50 = 0 THEN 'expired' WHEN n % 5 = 1 THEN 'uncertain' WHEN n % 5 = 2 THEN 'orphaned' \
         WHEN n % 5 = 3 THEN 'needs_authorization' WHEN n % 5 = 4 THEN 'expiring_soon' ELSE 'valid' END, n, n % 100, \
         n * 7919 % 10007, {selected} FROM series AS s JOIN gateways AS w ON w.slug = \
         CASE WHEN n % 3 = 0 THEN 'mail' ELSE 'hub' END CROSS JOIN grants AS t WHERE t.id = '{template}'",
        id("8000", "n"),
        id("9000", "n / 5"),
    );
    stage.by_hand(&format!("{people}; {grants}")).await;
    if let Place::Postgres(_) = stage.place {
        // It does so by itself after a while; SQLite never does.
        stage.by_hand("ANALYZE").await;
    }
    (ada, hub)
}

/// Rows are read through an index that fits the filter and the sort, and no table is read whole.
async fn every_sort_and_filter_is_served_by_an_index(stage: &Stage) {
    let (ada, hub) = many(stage).await;
    let none = GrantFilter::default;
    let ranged = [
        GrantFilter { gateway: Some(hub.id), ..none() },
        GrantFilter { health: Some(Health::Expired), ..none() },
        GrantFilter { access_token_status: Some(AccessTokenStatus::Valid), ..none() },
        GrantFilter { provider: Some(hub.fingerprint().unwrap().provider()), ..none() },
        GrantFilter { gateway: Some(hub.id), health: Some(Health::Valid), ..none() },
        GrantFilter { q: Some("hu".into()), ..none() },
    ];
    for sort in sorts() {
        let of_sort = match sort.column {
            GrantSortColumn::CreatedAt => "creation",
            GrantSortColumn::LastUsedAt => "use",
            GrantSortColumn::ExpiresAt => "end",
        };
        let explained = async |filter: GrantFilter, index: String| {
            let plan = stage.storage.explain_list(&filter, sort).await.unwrap();
            let text = plan.join("\n");
            assert!(text.contains(&index), "{index} for {filter:?} {sort:?}:\n{text}");
            let whole = ["Seq Scan on grants", "SCAN g\n", "SCAN n\n", "SCAN g USING INDEX sqlite_autoindex"];
            for read_whole in whole {
                assert!(!format!("{text}\n").contains(read_whole), "{filter:?} {sort:?}:\n{text}");
            }
        };
        explained(none(), format!("grants_by_{of_sort}")).await;
        explained(GrantFilter { user: Some(ada.id), ..none() }, "grants_by_user".into()).await;
        explained(GrantFilter { q: Some("many1001".into()), ..none() }, "grants_by_user".into()).await;
        let several = GrantFilter { q: Some("several".into()), ..none() };
        let looked = stage.storage.explain_list(&several, sort).await.unwrap().join("\n");
        assert!(looked.contains(&format!("grants_by_{of_sort}")), "{sort:?}:\n{looked}");
        explained(GrantFilter { q: Some("n".into()), ..none() }, format!("grants_by_{of_sort}")).await;
        for filter in &ranged {
            explained(filter.clone(), format!("grants_ranged_by_{of_sort}")).await;
        }
    }
}

/// Searches that fit few, several and many people are walked in different ways, to the same rows.
async fn a_search_finds_the_same_however_many_people_it_fits(stage: &Stage) {
    many(stage).await;
    let by_hand = "SELECT count(*) FROM grants AS g JOIN users AS u ON u.id = g.user_id WHERE";
    for (q, condition) in [
        ("many10", "u.email_key LIKE 'many10%'"),
        ("several", "u.email_key LIKE 'several%'"),
        ("n", "u.name_key = 'n'"),
        ("hub", "g.gateway_id = (SELECT id FROM gateways WHERE slug = 'hub')"),
    ] {
        for (health, word) in [(None, "g.health"), (Some(Health::Expired), "'expired'")] {
            let filter = GrantFilter { q: Some(q.into()), health, ..GrantFilter::default() };
            let expected = stage.number(&format!("{by_hand} {condition} AND g.health = {word}")).await;
            for sort in sorts() {
                let (mut seen, mut cursor, mut last) = (BTreeSet::new(), None, None);
                loop {
                    let request = PageRequest { limit: 200, cursor };
                    let page = stage.storage.list_grants(&filter, sort, &request).await.unwrap();
                    for row in &page.items {
                        let moment = match sort.column {
                            GrantSortColumn::CreatedAt => row.created_at.millis(),
                            GrantSortColumn::LastUsedAt => row.last_used_at.map_or(0, Timestamp::millis),
                            GrantSortColumn::ExpiresAt => row.expires_at.map_or(i64::MAX, Timestamp::millis),
                        };
                        let key = (moment, row.id);
                        let in_order = last.is_none_or(|last| (last < key) != sort.descending);
                        assert!(in_order && seen.insert(row.id), "{filter:?} {sort:?}");
                        last = Some(key);
                    }
                    cursor = page.next_cursor;
                    // Two pages show the way; counting all of them is for the sparse.
                    if cursor.is_none() || (seen.len() >= 400 && expected > 2_000) {
                        break;
                    }
                }
                let complete = seen.len() as i64 == expected || expected > 2_000;
                assert!(complete, "{} of {expected}: {filter:?} {sort:?}", seen.len());
            }
        }
    }
}

on_both!(
    every_sort_and_filter_is_served_by_an_index,
    a_search_finds_the_same_however_many_people_it_fits,
    pages_are_complete_and_in_order_in_every_sort_also_where_moments_are_equal,
    a_filter_lets_pass_what_it_says_in_every_sort,
    a_row_names_its_person_and_gateway_and_a_gateways_own_grant_has_no_person,
    a_cursor_is_refused_in_another_order,
);
