//! "Connect a client": a token and the settings to paste, on one page.

use crate::extract::{CheckedForm, SessionCaller};
use crate::reveal;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_broker::{BrokerError, Caller, NewApiToken};
use doorward_domain::{Audience, GatewayId};

/// The page, before a token is made and after.
#[derive(Template)]
#[template(path = "connect_client.html")]
struct ConnectClientPage {
    frame: Frame,
    form: Form,
    /// Slug and name of each gateway with an address of its own.
    gateways: Vec<(String, String)>,
    /// The token, on the one page that shows it.
    plain: Option<String>,
    url: String,
    snippets: Vec<Snippet>,
}

/// Settings or a command to paste.
struct Snippet {
    title: &'static str,
    text: &'static str,
    code: String,
}

/// What stands in the snippets until there is a token.
const PLACEHOLDER: &str = "YOUR_TOKEN";

/// The snippets for one address. `name` is what clients call the server: `doorward`, or a slug.
fn snippets(name: &str, url: &str, token: &str) -> Vec<Snippet> {
    vec![
        Snippet {
            title: "Most clients (JSON)",
            text: "Into the client's MCP configuration file, beside the servers that are there.",
            code: json(name, url, token),
        },
        Snippet {
            title: "Claude Code",
            text: "In a terminal, once.",
            code: format!(
                "claude mcp add --transport http {name} {url} \\\n  --header \"Authorization: Bearer {token}\""
            ),
        },
        Snippet { title: "Python SDK", text: "With the package mcp, version 2.", code: python(url, token) },
        Snippet {
            title: "curl",
            text: "To see that address and token fit: it answers with the server's name.",
            code: curl(url, token),
        },
    ]
}

/// The parts are a slug, a URL and a token: nothing in them needs escaping.
fn json(name: &str, url: &str, token: &str) -> String {
    format!(
        r#"{{
  "mcpServers": {{
    "{name}": {{
      "type": "http",
      "url": "{url}",
      "headers": {{ "Authorization": "Bearer {token}" }}
    }}
  }}
}}"#
    )
}

fn python(url: &str, token: &str) -> String {
    format!(
        r#"import asyncio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

async def main():
    headers = {{"Authorization": "Bearer {token}"}}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        async with Client(streamable_http_client("{url}", http_client=http)) as client:
            for tool in (await client.list_tools()).tools:
                print(tool.name)

asyncio.run(main())"#
    )
}

fn curl(url: &str, token: &str) -> String {
    format!(
        r#"curl {url} \
  -H "Authorization: Bearer {token}" \
  -H "Content-Type: application/json" \
  -H "Accept: application/json, text/event-stream" \
  -d '{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"curl","version":"1"}}}}}}'"#
    )
}

/// One gateway that the caller can use, or all at one address.
async fn chosen(
    state: &AppState,
    caller: &Caller,
    slug: Option<&str>,
) -> Result<Option<(GatewayId, String)>, BrokerError> {
    let Some(slug) = slug else { return Ok(None) };
    let gateway = state.broker.gateway_by_slug(caller, slug).await.map_err(|_| BrokerError::Invalid {
        field: "gateway".to_owned(),
        problem: "choose a server of the list".to_owned(),
    })?;
    Ok(Some((gateway.id, gateway.slug.to_string())))
}

async fn the_page(
    state: &AppState,
    session: &SessionCaller,
    form: Form,
    slug: Option<&str>,
    plain: Option<String>,
) -> Result<ConnectClientPage, PageError> {
    let gateways = state.broker.served_gateways(&session.caller).await?;
    let mut url = state.facts.public_url.clone();
    url.set_path(&slug.map_or_else(|| "mcp".to_owned(), |slug| format!("gateways/{slug}/mcp")));
    let token = plain.as_deref().unwrap_or(PLACEHOLDER);
    Ok(ConnectClientPage {
        frame: Frame::new(state, session, Here::ConnectAClient),
        form,
        gateways: gateways.iter().map(|gateway| (gateway.slug.to_string(), gateway.name.clone())).collect(),
        snippets: snippets(slug.unwrap_or("doorward"), url.as_str(), token),
        url: url.to_string(),
        plain,
    })
}

/// `GET /ui/connect-a-client?gateway=`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let slug =
        chosen(&state, &session.caller, asked.filled("gateway").as_deref()).await?.map(|(_, slug)| slug);
    let form = Form::with([("gateway", slug.as_deref().unwrap_or_default())]);
    Ok(page::page(&the_page(&state, &session, form, slug.as_deref(), None).await?))
}

/// `POST /ui/connect-a-client`: makes a token that opens the chosen servers over MCP, and nothing else.
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let made = match chosen(&state, caller, typed.filled("gateway").as_deref()).await {
        Ok(chosen) => {
            let (gateways, slug) = chosen.map(|(id, slug)| (vec![id], slug)).unzip();
            let name = typed.text("name").to_owned();
            let new = NewApiToken { name, audience: Audience::Mcp, gateways, days: None };
            state.broker.create_api_token(caller, new).await.map(|made| (made, slug))
        }
        Err(error) => Err(error),
    };
    match made {
        Ok((made, slug)) => {
            let plain = reveal::api_token(&made.plain).to_owned();
            Ok(page::page(&the_page(&state, &session, Form::blank(), slug.as_deref(), Some(plain)).await?))
        }
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let page = the_page(&state, &session, form, None, None).await?;
            Ok(page::with_status(page.form.status, &page))
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let page = |plain: Option<&str>| {
        let url = "http://localhost:4444/mcp";
        let page = ConnectClientPage {
            frame: Frame::sample(Here::ConnectAClient),
            form: Form::blank(),
            gateways: vec![
                ("github-mcp".into(), "GitHub <mcp>".into()),
                ("calendar".into(), "Calendar".into()),
            ],
            snippets: snippets("doorward", url, plain.unwrap_or(PLACEHOLDER)),
            plain: plain.map(str::to_owned),
            url: url.into(),
        };
        page.render().unwrap()
    };
    vec![("connect-a-client", page(None)), ("connect-a-client-made", page(Some("dw_sample-of-a-token")))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_snippet_holds_address_and_token_and_the_json_is_json() {
        let all = snippets("github-mcp", "http://localhost:4444/gateways/github-mcp/mcp", "dw_x");
        for snippet in &all {
            assert!(
                snippet.code.contains("/gateways/github-mcp/mcp") && snippet.code.contains("Bearer dw_x")
            );
        }
        let json: serde_json::Value = serde_json::from_str(&all[0].code).unwrap();
        assert_eq!(json["mcpServers"]["github-mcp"]["headers"]["Authorization"], "Bearer dw_x");
    }
}
