//! The pages: rendered on the server, one file per page, complete without a script.
//!
//! A page is a struct with a template. What it shows comes from the same use cases as REST, so a page
//! can do nothing that REST cannot.

mod access_list;
mod attempt;
mod attempt_words;
mod attempts;
mod attention;
mod audit;
mod audit_filter;
mod audit_words;
mod callback;
mod cleanup;
mod cleanup_action;
mod cleanup_run;
mod confirm;
mod connect;
mod connect_client;
mod connections;
mod deposit;
mod deposit_new;
mod disconnect;
mod error;
mod form;
mod gateway;
mod gateway_access;
mod gateway_action;
mod gateway_changes;
mod gateway_check;
mod gateway_discovery;
mod gateway_form;
mod gateway_template;
mod gateway_tools;
mod gateways;
mod group;
mod groups;
mod health;
mod keys;
mod login;
mod login_code;
mod menu;
mod message;
mod oauth_token;
mod oauth_token_details;
mod oauth_token_end;
mod oauth_token_ended;
mod oauth_tokens;
mod oauth_tokens_ended;
mod oauth_tokens_job;
mod oauth_tokens_many;
mod oauth_tokens_toolbar;
mod oauth_tokens_view;
mod over_time;
mod overview;
mod page;
mod parts;
mod people;
mod person;
mod plot;
mod qr;
mod receipt;
mod role;
mod roles;
#[cfg(test)]
mod sample_pages;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod samples_grants;
mod second_factor;
mod server;
mod server_items;
mod servers;
mod sessions;
mod setup;
mod sign_in_again;
mod statics;
mod time_line;
mod token;
mod tokens;
mod tool_form;
mod try_tool;
mod words;

use crate::state::AppState;
use axum::Router;

use axum::middleware::from_fn_with_state;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use error::PageError;
use std::str::FromStr;

/// All pages. The state is needed here already, for the layer that renders error pages.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    Router::new()
        .route("/", get(home))
        .route("/ui/", get(home))
        .route("/ui", get(overview::show))
        .merge(signing_in())
        .merge(servers())
        .merge(access())
        .merge(authorizations())
        .merge(operation())
        .merge(authorizing())
        .route("/ui/static/{hash}/{name}", get(statics::file))
        .route("/ui/{*rest}", get(missing))
        .layer(from_fn_with_state(state.clone(), error::render))
}

fn signing_in() -> Router<AppState> {
    Router::new()
        .route("/ui/setup", get(setup::show_setup).post(setup::complete_setup))
        .route("/ui/reset", get(setup::show_reset).post(setup::complete_reset))
        .route("/ui/login", get(login::show).post(login::log_in))
        .route("/ui/login/code", get(login_code::show).post(login_code::finish))
        .route("/ui/logout", post(login::log_out))
        .route("/ui/sign-in-again", get(sign_in_again::show).post(sign_in_again::sign_in_again))
}

fn servers() -> Router<AppState> {
    Router::new()
        .route("/ui/gateways", get(gateways::show))
        .route("/ui/gateways/new", get(gateway::show_new).post(gateway::create))
        .route("/ui/gateways/{id}", get(gateway::show).post(gateway::update))
        .route("/ui/gateways/{id}/access", get(gateway_access::show).post(gateway_access::save))
        .route("/ui/gateways/{id}/tools", get(gateway_tools::show))
        .route("/ui/gateways/{id}/tools/access", get(gateway_tools::access).post(gateway_tools::save))
        .route("/ui/gateways/{id}/changes", get(gateway_changes::show).post(gateway_changes::save))
        .route("/ui/gateways/{id}/check", get(gateway_check::ask).post(gateway_check::perform))
        .route("/ui/gateways/{id}/test", get(gateway_check::ask_test).post(gateway_check::begin_test))
        .route("/ui/gateways/{id}/tested", get(gateway_check::tested))
        .route("/ui/gateways/{id}/{verb}", get(gateway_action::ask).post(gateway_action::perform))
        .route("/ui/servers", get(servers::show))
        .route("/ui/servers/new", get(servers::show_new).post(servers::create))
        .route("/ui/servers/{id}", get(server::show).post(server::update))
        .route("/ui/servers/{id}/items", get(server_items::show).post(server_items::save))
        .route("/ui/servers/{id}/access", get(server::show_access).post(server::save_access))
        .route("/ui/servers/{id}/delete", get(server::ask_delete).post(server::delete))
}

fn access() -> Router<AppState> {
    Router::new()
        .route("/ui/connections", get(connections::show))
        .route("/ui/connections/{slug}/accept", post(deposit::accept))
        .route("/ui/connections/{slug}/decline", post(deposit::decline))
        .route("/ui/connections/{slug}/disconnect", get(disconnect::ask).post(disconnect::disconnect))
        .route("/ui/disconnected/{id}", get(disconnect::show))
        .route("/ui/tokens", get(tokens::show))
        .route("/ui/tokens/new", get(token::show).post(token::create))
        .route("/ui/tokens/{id}/end", get(tokens::ask).post(tokens::end))
        .route("/ui/connect-a-client", get(connect_client::show).post(connect_client::create))
        .route("/ui/try", get(try_tool::show))
        .route("/ui/try/{slug}", get(try_tool::ask).post(try_tool::call))
        .route("/ui/sessions", get(sessions::show))
        .route("/ui/sessions/{id}/end", get(sessions::ask).post(sessions::end))
        .route("/ui/second-factor", get(second_factor::show))
        .route("/ui/second-factor/set-up", get(second_factor::ask_set_up).post(second_factor::set_up))
        .route("/ui/second-factor/confirm", get(second_factor::begin_again).post(second_factor::confirm))
        .route(
            "/ui/second-factor/recovery-codes",
            get(second_factor::ask_codes).post(second_factor::renew_codes),
        )
        .route("/ui/second-factor/remove", get(second_factor::ask_remove).post(second_factor::remove))
        .route("/ui/people", get(people::show))
        .route("/ui/people/new", get(person::show).post(person::create))
        .route("/ui/people/{id}/sessions", get(sessions::show_of))
        .route("/ui/people/{id}/role", get(role::show).post(role::change))
        .route("/ui/people/{id}/{verb}", get(people::ask).post(people::perform))
        .route("/ui/roles", get(roles::show))
        .route("/ui/roles/new", get(roles::show_new).post(roles::create))
        .route("/ui/roles/{name}", get(roles::show_one).post(roles::update))
        .route("/ui/roles/{name}/delete", get(roles::ask_delete).post(roles::delete))
        .route("/ui/groups", get(groups::show))
        .route("/ui/groups/new", get(groups::show_new).post(groups::create))
        .route("/ui/groups/{id}", get(group::show).post(group::update))
        .route("/ui/groups/{id}/delete", get(group::ask_delete).post(group::delete))
        .route("/ui/groups/{id}/members/{user}/remove", get(group::ask_remove).post(group::remove))
}

fn authorizations() -> Router<AppState> {
    Router::new()
        .route("/ui/oauth-tokens", get(oauth_tokens::show))
        .route("/ui/oauth-tokens/deposit", get(deposit_new::show).post(deposit_new::create))
        .route("/ui/oauth-tokens/many", get(oauth_tokens_many::ask).post(oauth_tokens_many::perform))
        .route("/ui/oauth-tokens/jobs/{id}", get(oauth_tokens_job::show))
        .route("/ui/oauth-tokens/ended", get(oauth_tokens_ended::show))
        .route("/ui/oauth-tokens/ended/{id}", get(oauth_token_ended::show))
        .route("/ui/oauth-tokens/{id}", get(oauth_token::show))
        .route("/ui/oauth-tokens/{id}/refresh", post(oauth_token::refresh))
        .route("/ui/oauth-tokens/{id}/{verb}", get(oauth_token_end::ask).post(oauth_token_end::perform))
}

fn operation() -> Router<AppState> {
    Router::new()
        .route("/ui/cleanup", get(cleanup::show))
        .route("/ui/cleanup/run", get(cleanup_action::ask).post(cleanup_action::run))
        .route("/ui/cleanup/dry-run", post(cleanup_action::dry_run))
        .route("/ui/cleanup/held", post(cleanup_action::end_held))
        .route("/ui/cleanup/runs/{id}", get(cleanup_run::show))
        .route("/ui/attempts", get(attempts::show))
        .route("/ui/attempts/{id}", get(attempt::show))
        .route("/ui/audit", get(audit::show))
        .route("/ui/keys", get(keys::show))
        .route("/ui/keys/rotate", get(keys::ask_rotate).post(keys::rotate))
        .route("/ui/keys/{id}/retire", get(keys::ask_retire).post(keys::retire))
}

fn authorizing() -> Router<AppState> {
    Router::new()
        .route("/connect/{slug}", get(connect::show).post(connect::begin))
        .route("/oauth/callback", get(callback::receive))
        .route("/ui/connected/{slug}", get(callback::connected))
        .route("/ui/connect-problem", get(callback::problem))
}

async fn home() -> Redirect {
    Redirect::to("/ui")
}

async fn missing() -> PageError {
    PageError::NOT_FOUND
}

/// The page for a path that nobody serves.
pub(crate) fn not_found(state: &AppState) -> Response {
    error::rendered(state, PageError::NOT_FOUND)
}

/// An id in a path; what is no id names no page.
fn id<T: FromStr>(text: &str) -> Result<T, PageError> {
    text.parse().map_err(|_| PageError::NOT_FOUND)
}
