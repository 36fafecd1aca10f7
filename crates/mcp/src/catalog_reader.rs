//! Reads all lists of one upstream, page by page. Each item stays the text that the upstream sent.

use crate::bridge::error_code;
use crate::envelope::{Envelope, json_string, member, raw, text_member};
use crate::revision::{Revision, code};
use crate::upstream::{
    CallError, ClientFacts, ServerFacts, UpstreamAnswer, UpstreamCall, Upstreams, annotations, own_id,
};
use doorward_broker::Caller;
use doorward_domain::{CatalogItem, CatalogKind, Gateway};
use futures_util::future::try_join_all;
use http::HeaderMap;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;

/// What one list may hold; more is a mistake of the upstream, or an attack.
const MAX_ITEMS: usize = 10_000;
const MAX_PAGES: usize = 500;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Longer names are no names: they cannot be kept.
const LONGEST_NAME: usize = 1_000;

/// What was read.
pub(crate) struct ReadCatalog {
    pub(crate) items: Vec<CatalogItem>,
    pub(crate) instructions: Option<String>,
}

/// Doorward itself as a client: it declares nothing, so that nothing is asked of it.
pub(crate) fn ourselves() -> ClientFacts {
    ClientFacts {
        revision: Revision::LATEST,
        name: "doorward".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: raw("{}".to_owned()).expect("an empty object is JSON"),
        log_level: None,
    }
}

/// How each list is called, where its items stand, and what their names are.
const fn list_of(kind: CatalogKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        CatalogKind::Tool => ("tools/list", "tools", "name"),
        CatalogKind::Resource => ("resources/list", "resources", "uri"),
        CatalogKind::ResourceTemplate => ("resources/templates/list", "resourceTemplates", "uriTemplate"),
        CatalogKind::Prompt => ("prompts/list", "prompts", "name"),
    }
}

/// Reads every list that the upstream says it has, with the caller's own grant.
pub(crate) async fn read(
    upstreams: &Upstreams,
    caller: &Caller,
    gateway: &Arc<Gateway>,
) -> Result<ReadCatalog, CallError> {
    let client = ourselves();
    let server = upstreams.server(caller, gateway, &client).await?;
    let kinds = CatalogKind::ALL.into_iter().filter(|kind| has(&server, *kind));
    let reader = Reader { upstreams, caller, gateway, client: &client };
    let lists = try_join_all(kinds.map(|kind| reader.list(kind))).await?;
    let mut items: Vec<CatalogItem> = lists.into_iter().flatten().collect();
    if server.revision.is_modern() {
        // 2026-07-28: clients must leave out a tool whose header annotations cannot be obeyed.
        items.retain(|item| item.kind != CatalogKind::Tool || annotations(&item.json).is_ok());
    }
    Ok(ReadCatalog { items, instructions: server.instructions.clone() })
}

/// An upstream that has not said what it has is asked for everything.
fn has(server: &ServerFacts, kind: CatalogKind) -> bool {
    let name = match kind {
        CatalogKind::Tool => "tools",
        CatalogKind::Resource | CatalogKind::ResourceTemplate => "resources",
        CatalogKind::Prompt => "prompts",
    };
    server.capabilities.as_ref().is_none_or(|declared| member(declared, name).is_some())
}

struct Reader<'a> {
    upstreams: &'a Upstreams,
    caller: &'a Caller,
    gateway: &'a Arc<Gateway>,
    client: &'a ClientFacts,
}

/// One page of a list.
struct Page {
    items: Vec<CatalogItem>,
    next: Option<String>,
}

impl Reader<'_> {
    async fn list(&self, kind: CatalogKind) -> Result<Vec<CatalogItem>, CallError> {
        let (mut items, mut names, mut bytes) = (Vec::new(), HashSet::new(), 0);
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(kind, cursor.as_deref()).await?;
            bytes += page.items.iter().map(|item| item.json.len()).sum::<usize>();
            // An item that comes twice counts once, at its first place.
            items.extend(page.items.into_iter().filter(|item| names.insert(item.name.clone())));
            if bytes > MAX_BYTES || items.len() > MAX_ITEMS {
                return Err(self.endless(kind));
            }
            match page.next {
                None => return Ok(items),
                same if same == cursor => return Err(self.endless(kind)),
                next => cursor = next,
            }
        }
        Err(self.endless(kind))
    }

    fn endless(&self, kind: CatalogKind) -> CallError {
        let problem = format!("its answers to {} have no end within reason", list_of(kind).0);
        CallError::Broken { gateway: self.gateway.slug.to_string(), problem }
    }

    async fn page(&self, kind: CatalogKind, cursor: Option<&str>) -> Result<Page, CallError> {
        let (method, array, name) = list_of(kind);
        let params = cursor.and_then(|cursor| raw(format!("{{\"cursor\":{}}}", json_string(cursor))));
        let id = own_id();
        let call = UpstreamCall {
            id: &id,
            method,
            params: params.as_deref(),
            client_headers: &HeaderMap::new(),
            accept_sse: false,
            session: None,
        };
        let broken = |problem: &str| CallError::Broken {
            gateway: self.gateway.slug.to_string(),
            problem: format!("{method}: {problem}"),
        };
        let answer = self.upstreams.call(self.caller, self.gateway, self.client, call).await?;
        let UpstreamAnswer::Message(answer) = answer else { return Err(broken("it is a stream")) };
        let message = Envelope::parse(&answer.body).map_err(|error| broken(&error.to_string()))?;
        if let Some(error) = message.error {
            return self.refused(method, error);
        }
        let result = message.result.ok_or_else(|| broken("it is no result"))?;
        let page =
            member(result, array).and_then(|items| serde_json::from_str::<Vec<&RawValue>>(items.get()).ok());
        let page = page.ok_or_else(|| broken("it is no list"))?;
        let items = page.into_iter().filter_map(|json| item(kind, name, json)).collect();
        Ok(Page { items, next: text_member(result, "nextCursor").map(std::borrow::Cow::into_owned) })
    }

    /// A list that the upstream refuses is empty: the other three may still be good.
    fn refused(&self, method: &str, error: &RawValue) -> Result<Page, CallError> {
        let number = error_code(error);
        if number != Some(code::METHOD_NOT_FOUND) {
            tracing::warn!(gateway = %self.gateway.slug, method, code = number, "an upstream refused to list");
        }
        Ok(Page { items: Vec::new(), next: None })
    }
}

fn item(kind: CatalogKind, name: &str, json: &RawValue) -> Option<CatalogItem> {
    let name = text_member(json, name)?.into_owned();
    let keepable = !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains('\0');
    keepable.then(|| CatalogItem { kind, name, json: json.get().to_owned() })
}
