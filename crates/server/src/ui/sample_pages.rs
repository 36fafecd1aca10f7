//! Every page is rendered from samples, and held against what must be true of all of them.

use crate::ui::samples::CANARY;

/// Every page, by name.
fn all() -> Vec<(&'static str, String)> {
    use crate::ui;
    [
        ui::access_list::samples(),
        ui::attempt::samples(),
        ui::attempts::samples(),
        ui::audit::samples(),
        ui::cleanup::samples(),
        ui::cleanup_run::samples(),
        ui::confirm::samples(),
        ui::connect::samples(),
        ui::connect_client::samples(),
        ui::connections::samples(),
        ui::deposit_new::samples(),
        ui::disconnect::samples(),
        ui::error::samples(),
        ui::gateway::samples(),
        ui::gateway_changes::samples(),
        ui::gateway_tools::samples(),
        ui::gateway_check::samples(),
        ui::gateways::samples(),
        ui::group::samples(),
        ui::groups::samples(),
        ui::keys::samples(),
        ui::login::samples(),
        ui::login_code::samples(),
        ui::message::samples(),
        ui::oauth_token::samples(),
        ui::oauth_token_end::samples(),
        ui::oauth_token_ended::samples(),
        ui::oauth_tokens::samples(),
        ui::oauth_tokens_ended::samples(),
        ui::oauth_tokens_job::samples(),
        ui::oauth_tokens_many::samples(),
        ui::overview::samples(),
        ui::people::samples(),
        ui::person::samples(),
        ui::role::samples(),
        ui::roles::samples(),
        ui::second_factor::samples(),
        ui::server::samples(),
        ui::server_items::samples(),
        ui::servers::samples(),
        ui::sessions::samples(),
        ui::setup::samples(),
        ui::sign_in_again::samples(),
        ui::token::samples(),
        ui::tokens::samples(),
        ui::try_tool::samples(),
    ]
    .concat()
}

/// The values of an attribute, in order.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_page_renders_whole_escaped_and_without_a_secret() {
    for (name, html) in all() {
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{name}");
        for (open, close) in [
            ("<form", "</form>"),
            ("<div", "</div>"),
            ("<section", "</section>"),
            ("<dl", "</dl>"),
            ("<table", "</table>"),
            ("<tr", "</tr>"),
            ("<td", "</td>"),
            ("<main", "</main>"),
            ("<button", "</button>"),
            ("<span", "</span>"),
            ("<fieldset", "</fieldset>"),
            ("<label", "</label>"),
            ("<select", "</select>"),
            ("<details", "</details>"),
        ] {
            assert_eq!(html.matches(open).count(), html.matches(close).count(), "{name}: {open}");
        }
        assert!(!html.contains(CANARY), "{name}");
        for planted in
            ["<script>alert", "<b>admin", "<i>https", "<img src=x>", "<i>report", "<script>no", "Tanaka <b>"]
        {
            assert!(!html.contains(planted), "{name} holds {planted} unescaped");
        }
        assert!(html.contains("class=\"demo\""), "{name} says that it is a demo");
    }
}

#[test]
fn no_page_has_inline_script_or_style_or_anything_from_elsewhere() {
    for (name, html) in all() {
        assert!(
            !html.contains(" style=\"") && !html.contains("<style") && !html.contains(" onclick"),
            "{name}"
        );
        assert_eq!(html.matches("<script").count(), 1, "{name}");
        for url in attributes(&html, "src")
            .into_iter()
            .chain(attributes(&html, "href"))
            .chain(attributes(&html, "action"))
        {
            let marked = html.contains(&format!("rel=\"external noreferrer\" href=\"{url}\""));
            let elsewhere = url.starts_with("https://") && marked;
            assert!(url.starts_with('/') || elsewhere || ["", "#main"].contains(&url), "{name}: {url}");
        }
    }
}

#[test]
fn every_form_that_posts_carries_the_token_and_every_field_has_its_label() {
    for (name, html) in all() {
        assert_eq!(html.matches("method=\"post\"").count(), html.matches("name=\"csrf\"").count(), "{name}");
        let ids = attributes(&html, "id");
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[at + 1..].contains(id), "{name}: the id {id} is there twice");
        }
        for label in attributes(&html, "for").into_iter().chain(attributes(&html, "data-copy")) {
            assert!(ids.contains(&label), "{name}: nothing has the id {label}");
        }
        for described in attributes(&html, "aria-describedby") {
            assert!(described.split(' ').all(|id| ids.contains(&id)), "{name}: {described}");
        }
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
    }
}
