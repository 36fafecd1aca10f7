//! The start page: what there is, and the first steps of a newcomer.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::attention::Watch;
use crate::ui::error::PageError;
use crate::ui::form::Asked;
use crate::ui::over_time::OverTime;
use crate::ui::page::{self, Frame, Here};
use crate::ui::words::meant;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_broker::ConnectionStatus;
use doorward_domain::{GatewayState, Health};

/// The overview.
#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    gateways: usize,
    connected: usize,
    /// Connections that wait for their owner.
    attention: usize,
    tokens: usize,
    steps: Vec<Step>,
    open_steps: usize,
    mcp_url: String,
    /// For those who read all grants.
    watch: Option<Watch>,
    over_time: Option<OverTime>,
}

/// One step of the checklist.
struct Step {
    title: &'static str,
    text: &'static str,
    href: &'static str,
    label: &'static str,
    done: bool,
    /// The first that is not done stands out.
    first: bool,
}

impl Step {
    const fn new(
        done: bool,
        title: &'static str,
        text: &'static str,
        href: &'static str,
        label: &'static str,
    ) -> Self {
        Self { title, text, href, label, done, first: false }
    }
}

/// What the checklist goes by.
struct Facts {
    administrator: bool,
    registered: bool,
    published: bool,
    connected: bool,
    token: bool,
}

fn steps(facts: &Facts) -> Vec<Step> {
    let mut steps = Vec::new();
    if facts.administrator {
        steps.push(Step::new(
            facts.registered,
            "Register a gateway",
            "Give Doorward the URL of an MCP server; it finds out the rest.",
            "/ui/gateways/new",
            "Register",
        ));
        steps.push(Step::new(
            facts.published,
            "Publish it",
            "Until then only administrators see it.",
            "/ui/gateways",
            "Publish",
        ));
    }
    steps.push(Step::new(
        facts.connected,
        "Connect your account",
        "Sign in at the server's provider once; Doorward keeps the key for you.",
        "/ui/connections",
        "Connect",
    ));
    steps.push(Step::new(
        facts.token,
        "Make an API token for your client",
        "With the settings to paste into your editor, agent or script.",
        "/ui/connect-a-client",
        "Connect a client",
    ));
    if let Some(first) = steps.iter_mut().find(|step| !step.done) {
        first.first = true;
    }
    steps
}

/// `GET /ui?span=`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let frame = Frame::new(&state, &session, Here::Overview);
    let gateways = state.broker.gateways(caller).await?;
    let connections = state.broker.connections(caller).await?;
    let now = state.broker.clock().now();
    let tokens = state.broker.api_tokens(caller).await?.iter().filter(|token| token.lives(now)).count();
    let count = |wanted: fn(ConnectionStatus) -> bool| {
        connections.iter().filter(|connection| wanted(connection.status)).count()
    };
    let connected = count(|status| status == ConnectionStatus::Connected(Health::Valid));
    let steps = steps(&Facts {
        administrator: frame.manages_gateways(),
        registered: !gateways.is_empty(),
        published: gateways.iter().any(|gateway| gateway.state == GatewayState::Published),
        connected: count(|status| status != ConnectionStatus::NotConnected) > 0,
        token: tokens > 0,
    });
    let watch = Watch::of(&state, caller, &gateways).await?;
    let span = meant(asked.text("span")).unwrap_or_default();
    let over_time = OverTime::of(&state, caller, span).await?;
    let mut mcp_url = state.facts.public_url.clone();
    mcp_url.set_path("mcp");
    Ok(page::page(&Overview {
        frame,
        gateways: gateways.len(),
        connected,
        attention: count(|status| {
            !matches!(
                status,
                ConnectionStatus::NotConnected
                    | ConnectionStatus::NotNeeded
                    | ConnectionStatus::Connected(Health::Valid)
            )
        }),
        tokens,
        open_steps: steps.iter().filter(|step| !step.done).count(),
        steps,
        mcp_url: mcp_url.to_string(),
        watch,
        over_time,
    }))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let page = |facts: &Facts, attention, watch: Option<Watch>| {
        let steps = steps(facts);
        let overview = Overview {
            frame: Frame::sample(Here::Overview),
            gateways: 18,
            connected: 4,
            attention,
            tokens: 2,
            open_steps: steps.iter().filter(|step| !step.done).count(),
            steps,
            mcp_url: "http://localhost:4444/mcp".into(),
            over_time: watch.is_some().then(crate::ui::over_time::sample),
            watch,
        };
        overview.render().unwrap()
    };
    let some =
        Facts { administrator: true, registered: true, published: false, connected: false, token: false };
    let all = Facts { administrator: false, registered: true, published: true, connected: true, token: true };
    vec![
        ("overview", page(&some, 1, Some(crate::ui::attention::sample()))),
        ("overview-done", page(&all, 0, None)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_open_step_stands_out_and_users_have_fewer() {
        let mut facts =
            Facts { administrator: true, registered: true, published: false, connected: false, token: false };
        let of_administrator = steps(&facts);
        assert_eq!(of_administrator.iter().position(|step| step.first), Some(1));
        facts.administrator = false;
        assert_eq!(steps(&facts).len(), 2);
    }
}
