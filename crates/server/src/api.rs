//! REST: one file per subject. A handler extracts, calls one use case, and answers with an allow list.

mod access_body;
mod admin_audit;
mod admin_groups;
mod admin_keys;
mod admin_oauth_attempts;
mod admin_oauth_cleanup;
mod admin_oauth_ended;
mod admin_oauth_jobs;
mod admin_oauth_providers;
mod admin_oauth_refresh;
mod admin_oauth_revoke;
mod admin_oauth_tokens;
mod admin_roles;
mod admin_tallies;
mod admin_users;
mod api_tokens;
mod audit_file;
mod browser_sessions;
mod catalog;
mod client_metadata;
mod connections;
mod deposits;
mod discover;
mod ended_view;
mod error;
mod export;
mod facts_body;
mod gateway_body;
mod gateway_changes;
mod gateway_check;
mod gateway_view;
mod gateways;
mod health;
mod me;
mod oauth_token_view;
mod openapi;
mod second_factor;
mod servers;
mod views;

pub(crate) use error::{ApiError, Problem};
pub(crate) use health::{CHALLENGE, PROOF, proof_of};
pub(crate) use openapi::document;

use crate::extract::refuse_query;
use crate::state::AppState;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The largest body of a REST call.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// Every REST route, by audience.
pub(crate) fn router() -> Router<AppState> {
    let (router, _) = routes_with_document().split_for_parts();
    router.method_not_allowed_fallback(async || ApiError::NoMethod).layer(DefaultBodyLimit::max(BODY_LIMIT))
}

fn routes_with_document() -> OpenApiRouter<AppState> {
    // For everybody.
    let open = OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(client_metadata::show))
        .routes(routes!(openapi::openapi));
    // For a person's own things: the audiences `self` and `admin`.
    let own = OpenApiRouter::new()
        .routes(routes!(me::me))
        .routes(routes!(catalog::tools))
        .routes(routes!(catalog::resources))
        .routes(routes!(catalog::prompts))
        .routes(routes!(connections::list))
        .routes(routes!(connections::status))
        .routes(routes!(connections::authorize))
        .routes(routes!(deposits::accept))
        .routes(routes!(deposits::decline))
        .routes(routes!(api_tokens::list, api_tokens::create))
        .routes(routes!(api_tokens::end))
        .routes(routes!(browser_sessions::list))
        .routes(routes!(browser_sessions::end))
        .routes(routes!(second_factor::read, second_factor::begin, second_factor::remove))
        .routes(routes!(second_factor::confirm))
        .routes(routes!(second_factor::renew_codes))
        .routes(routes!(gateways::read, gateways::update, gateways::delete))
        .routes(routes!(gateways::refresh))
        .routes(routes!(servers::read, servers::update, servers::delete));
    // For administrators: the audience `admin`.
    let admin = OpenApiRouter::new()
        .routes(routes!(discover::discover))
        .routes(routes!(gateway_check::check))
        .routes(routes!(gateway_changes::list))
        .routes(routes!(gateway_changes::agree))
        .routes(routes!(admin_oauth_providers::list))
        .routes(routes!(admin_oauth_providers::read))
        .routes(routes!(admin_oauth_tokens::counts))
        .routes(routes!(admin_users::read, admin_users::update, admin_users::delete))
        .routes(routes!(admin_roles::list, admin_roles::create))
        .routes(routes!(admin_roles::read, admin_roles::update, admin_roles::delete))
        .routes(routes!(admin_keys::list))
        .routes(routes!(admin_keys::rotate))
        .routes(routes!(admin_keys::retire))
        .routes(routes!(browser_sessions::list_of))
        .routes(routes!(browser_sessions::end_any))
        .routes(routes!(admin_groups::read, admin_groups::update, admin_groups::delete))
        .routes(routes!(admin_groups::join, admin_groups::leave))
        .routes(routes!(admin_oauth_revoke::revoke_many))
        .routes(routes!(admin_oauth_revoke::reauthorize))
        .routes(routes!(admin_oauth_revoke::reauthorize_many))
        .routes(routes!(admin_oauth_attempts::read))
        .routes(routes!(admin_oauth_ended::read))
        .routes(routes!(admin_oauth_refresh::refresh));
    // Lists that take query parameters.
    let lists = OpenApiRouter::new()
        .routes(routes!(gateways::list, gateways::create))
        .routes(routes!(servers::list, servers::create))
        .routes(routes!(admin_users::list, admin_users::create))
        .routes(routes!(admin_users::reset_link))
        .routes(routes!(admin_groups::list, admin_groups::create))
        .routes(routes!(admin_groups::members))
        .routes(routes!(connections::disconnect))
        .routes(routes!(admin_oauth_tokens::read, admin_oauth_revoke::revoke))
        .routes(routes!(admin_oauth_jobs::read))
        .routes(routes!(admin_oauth_attempts::list))
        .routes(routes!(admin_oauth_ended::list))
        .routes(routes!(admin_oauth_ended::export))
        .routes(routes!(admin_tallies::read))
        .routes(routes!(admin_audit::list))
        .routes(routes!(admin_oauth_cleanup::show, admin_oauth_cleanup::run))
        .routes(routes!(admin_oauth_tokens::list, deposits::deposit))
        .routes(routes!(admin_oauth_tokens::export))
        .routes(routes!(admin_audit::export));
    open.merge(own).merge(admin).layer(axum::middleware::from_fn(refuse_query)).merge(lists)
}
