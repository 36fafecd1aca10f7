//! `doorward-bench grants`: the list of all grants at a million of them, over REST, on SQLite and PostgreSQL.
//!
//! Every sort, every filter with every sort, all pairs of filters, and what is worst for each way to a page:
//! filters that nothing passes, a search that fits many or few, a page deep in the list.

use crate::crowd::{Place, fill, make_gateways};
use crate::prepare::AnyError;
use doorward_domain::{Clock, Policy};
use doorward_testkit::app::{ADMINISTRATOR, PASSWORD, TestApp, TestAppOptions};
use doorward_testkit::browser::Browser;
use doorward_testkit::client::Client;
use serde_json::Value;
use std::io::Write;
use std::time::{Duration, Instant};

/// People; each has ten grants.
const PEOPLE: i64 = 100_000;

/// Each question is asked so often; the first time is not counted.
const REPEATS: usize = 7;

const SORTS: [&str; 6] =
    ["created_at", "-created_at", "last_used_at", "-last_used_at", "expires_at", "-expires_at"];

/// Fills both databases and asks.
pub async fn run(people: Option<i64>) -> Result<(), AnyError> {
    let people = people.unwrap_or(PEOPLE);
    for postgres in [false, true] {
        let options = TestAppOptions {
            clock: Some(Clock::System),
            postgres,
            measured: true,
            policy: Policy::default(),
            ..Default::default()
        };
        let app = TestApp::with(options).await;
        let place = if postgres {
            Place::Postgres(app.postgres().url())
        } else {
            Place::Sqlite(app.directory().join("data/doorward.db"))
        };
        let begun = Instant::now();
        make_gateways(app.app.broker(), &app.administrator().caller).await?;
        fill(&place, people, app.clock.now()).await?;
        let name = if postgres { "PostgreSQL" } else { "SQLite" };
        say(&format!("{name}: {} grants written in {:.0} s\n", people * 10, begun.elapsed().as_secs_f64()))?;
        measure(name, &app.admin_client().await).await?;
        pages(name, &app).await?;
    }
    Ok(())
}

/// What is asked under one name, and the bound that it is held to.
struct Question {
    name: String,
    bound: Duration,
    queries: Vec<String>,
}

const ONE: Duration = Duration::from_millis(20);
const MANY: Duration = Duration::from_millis(100);

async fn measure(name: &str, client: &Client) -> Result<(), AnyError> {
    let single = singles(client).await?;
    let mut questions = vec![question("no filter", ONE, &[String::new()])];
    for (filter, query) in &single {
        questions.push(question(filter, ONE, std::slice::from_ref(query)));
    }
    questions.extend(pairs(&single));
    questions.extend(worst());
    say(&format!("\n| {name} | median ms | slowest ms | bound ms |\n|---|---|---|---|\n"))?;
    for question in &questions {
        let mut took = Vec::new();
        for query in &question.queries {
            took.extend(ask(client, query).await?);
        }
        row(&question.name, took, question.bound)?;
    }
    row("a page deep in the list", deep(client).await?, ONE)?;
    row("counts, when they are counted", counts(client).await?, Duration::from_secs(5))
}

fn question(name: &str, bound: Duration, filters: &[String]) -> Question {
    let queries =
        filters.iter().flat_map(|filter| SORTS.map(|sort| format!("sort={sort}{filter}"))).collect();
    Question { name: name.to_owned(), bound, queries }
}

/// Each filter with values that many, some and few grants have.
async fn singles(client: &Client) -> Result<Vec<(String, String)>, AnyError> {
    let row = client.get("/admin/oauth/tokens?q=gw-05&limit=1").await;
    let item = row.json["items"].get(0).ok_or("there are grants")?.clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rare = client.get("/admin/oauth/tokens?q=gw-39&limit=1").await;
    let words = |of: &str| {
        let all: &[&str] = match of {
            "health" => {
                &["valid", "expiring_soon", "expired", "needs_authorization", "uncertain", "orphaned"]
            }
            _ => &["valid", "expiring_soon", "expired"],
        };
        all.iter().map(|word| (format!("{of}={word}"), format!("&{of}={word}"))).collect::<Vec<_>>()
    };
    let mut found = vec![
        ("user".to_owned(), format!("&user={}", text(&item["user"]["id"]))),
        ("gateway, of many".to_owned(), format!("&gateway={}", text(&item["gateway"]["id"]))),
        ("gateway, of few".to_owned(), format!("&gateway={}", text(&rare.json["items"][0]["gateway"]["id"]))),
        ("provider".to_owned(), "&provider=https://issuer3.example".to_owned()),
    ];
    found.extend(words("health"));
    found.extend(words("access_token_status"));
    for (name, q) in [
        ("q, one person", "zoe.smith"),
        ("q, 2 % of the people, who came last", "contractor"),
        ("q, 2 % of the people, all over", "an"),
        ("q, 6 % of the people, all over", "a"),
        ("q, one gateway", "gw-07"),
        ("q, nobody", "nobody-at-all"),
    ] {
        found.push((name.to_owned(), format!("&q={q}")));
    }
    Ok(found)
}

fn pairs(single: &[(String, String)]) -> Vec<Question> {
    let mut by_kind: Vec<(String, Vec<String>)> = Vec::new();
    for (number, (_, one)) in single.iter().enumerate() {
        for (_, other) in &single[number + 1..] {
            let (kind, other_kind) = (kind_of(one), kind_of(other));
            if kind == other_kind {
                continue;
            }
            let name = format!("{kind} and {other_kind}");
            let query = format!("{one}{other}");
            match by_kind.iter_mut().find(|(known, _)| *known == name) {
                Some((_, queries)) => queries.push(query),
                None => by_kind.push((name, vec![query])),
            }
        }
    }
    by_kind.iter().map(|(name, filters)| question(name, MANY, filters)).collect()
}

fn kind_of(query: &str) -> &str {
    query[1..].split('=').next().unwrap_or_default()
}

/// Combinations that nothing, or hardly anything, passes.
fn worst() -> Vec<Question> {
    let nothing = "&provider=https://issuer3.example&health=expiring_soon&access_token_status=valid";
    let elsewhere = "&provider=https://nowhere.example&health=valid&access_token_status=expired";
    let dense = "&q=an&health=uncertain&access_token_status=expiring_soon";
    let triple = "&q=an&provider=https://issuer3.example&health=expired";
    let new_people = "&q=contractor&health=valid&access_token_status=valid&provider=https://issuer5.example";
    [
        ("provider, health and status that exclude each other", nothing),
        ("a provider of nothing", elsewhere),
        ("many people, and health and status of hardly anything", dense),
        ("many people, a provider, a health", triple),
        ("people who all came last, a provider, a health, a status", new_people),
    ]
    .map(|(name, query)| question(name, MANY, &[query.to_owned()]))
    .into()
}

async fn ask(client: &Client, query: &str) -> Result<Vec<Duration>, AnyError> {
    let path = format!("/admin/oauth/tokens?{query}");
    let mut took = Vec::new();
    for number in 0..REPEATS {
        let begun = Instant::now();
        let answer = client.get(&path).await;
        if answer.status != 200 {
            return Err(format!("{path}: {}", answer.text).into());
        }
        if number > 0 {
            took.push(begun.elapsed());
        }
    }
    Ok(took)
}

/// Two hundred pages on, in the whole list and in a filtered one.
async fn deep(client: &Client) -> Result<Vec<Duration>, AnyError> {
    let mut took = Vec::new();
    for filter in ["", "&health=valid"] {
        let mut cursor = String::new();
        for number in 0..200 {
            let path = format!("/admin/oauth/tokens?sort=expires_at&limit=200{filter}{cursor}");
            let answer = client.get(&path).await;
            let next = answer.json["next_cursor"].as_str().ok_or("there is a next page")?;
            cursor = format!("&cursor={next}");
            if number == 199 {
                took.extend(ask(client, &format!("sort=expires_at{filter}{cursor}")).await?);
            }
        }
    }
    Ok(took)
}

async fn counts(client: &Client) -> Result<Vec<Duration>, AnyError> {
    let mut took = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        client.get("/admin/oauth/tokens/counts").await;
        took.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(5_100)).await;
    }
    Ok(took)
}

/// The page of the list in Chromium, from the click until it can be used.
async fn pages(name: &str, app: &TestApp) -> Result<(), AnyError> {
    let mut browser = Browser::start().await;
    browser.open(&format!("{}/ui/login", app.origin)).await;
    browser.fill("[name=email]", ADMINISTRATOR).await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.click("main button").await;
    browser.expect("Overview").await;
    say(&format!("\n| {name}, in Chromium | median ms | slowest ms | bound ms |\n|---|---|---|---|\n"))?;
    for (view, query) in [
        ("the first page", ""),
        ("one health", "?health=needs_authorization"),
        ("sorted by their end", "?sort=expires_at"),
        ("a health, sorted by use", "?health=valid&sort=-last_used_at"),
        ("a provider", "?provider=https%3A%2F%2Fissuer3.example"),
        ("`q`: one person", "?q=zoe.smith"),
        ("`q`: 2 % of the people", "?q=an"),
    ] {
        let mut took = Vec::new();
        for number in 0..REPEATS * 2 {
            browser.open(&format!("{}/ui/oauth-tokens{query}", app.origin)).await;
            if number > 0 {
                took.push(Duration::from_secs_f64(browser.interactive().await / 1e3));
            }
        }
        row(view, took, MANY)?;
    }
    Ok(())
}

fn row(name: &str, mut took: Vec<Duration>, bound: Duration) -> Result<(), AnyError> {
    took.sort_unstable();
    let millis = |at: usize| took.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e3);
    let (median, slowest) = (millis(took.len() / 2), millis(took.len().saturating_sub(1)));
    let missed = if slowest > bound.as_secs_f64() * 1e3 { " **missed**" } else { "" };
    say(&format!("| {name} | {median:.1} | {slowest:.1}{missed} | {} |\n", bound.as_millis()))
}

fn say(text: &str) -> Result<(), AnyError> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
