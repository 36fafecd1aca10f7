//! The pages, over HTTP and in a real browser.

mod access;
mod attempts;
mod audit;
mod callback;
mod cleanup;
mod connect;
mod deposits;
mod every_page;
mod forgery;
mod fresh_login;
mod gateway_templates;
mod gateways;
mod groups;
mod headers;
mod journey;
mod keys;
mod oauth_tokens;
mod pages;
mod people;
pub(crate) mod routes;
mod second_factor;
mod servers;
mod sessions;
mod signing_in;
mod stories;
mod try_tool;

use doorward_testkit::app::TestApp;
use doorward_testkit::browser::Browser;
use doorward_testkit::client::Answer;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, Method};

/// Looks at the page that is open in light and dark, wide and narrow: nothing scrolls sideways. Keeps pictures
/// under a name where `DOORWARD_SCREENSHOTS` names a folder; `scripts/story-pictures.mjs` makes one of the four.
async fn look_closely(browser: &mut Browser, name: &str) {
    for (scheme, width) in [("dark", 400), ("light", 400), ("dark", 1_440), ("light", 1_440)] {
        browser.scheme(scheme).await;
        browser.size(width, 900).await;
        assert_eq!(browser.overflow().await, 0, "{name} ({scheme}, {width})");
        browser.picture(&format!("{name}-{scheme}-{width}")).await;
    }
}

/// A form of somebody who has not signed in: the page's own token and cookie, and the answer.
async fn anonymous_form(app: &TestApp, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
    let client = app.anonymous();
    let shown = client.get(page).await;
    let cookie = cookie_of(&shown, "doorward-form");
    let mut fields = fields.to_vec();
    let csrf = hidden(&shown.text, "csrf");
    fields.push(("csrf", &csrf));
    let request = client.request(Method::POST, action).form(&fields);
    client.send(request.header(COOKIE, cookie).header("sec-fetch-site", "same-origin")).await
}

/// What a hidden field holds.
pub(crate) fn hidden(html: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = html.split_once(&start).unwrap_or_else(|| panic!("no field {name} in {html}"));
    rest.split('"').next().unwrap().to_owned()
}

/// A cookie that an answer sets, as `name=value`; empty when it does not set it.
fn cookie_of(answer: &Answer, name: &str) -> String {
    let lines = answer.headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.filter_map(|line| line.split(';').next());
    pairs.filter(|pair| pair.starts_with(name)).map(str::to_owned).next().unwrap_or_default()
}

/// A plain HTTP client, for requests that no client of ours would make.
fn outsider() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
