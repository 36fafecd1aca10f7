//! The suite's server legs. It cannot send a token and knows names without a prefix, so a shim of the rigs
//! stands before Doorward; Doorward itself has no other door than the one with the token.

use doorward_broker::{AuthorizationInput, GatewayInput};
use doorward_domain::{Audience, GatewayState};
use doorward_testkit::app::TestApp;
use doorward_testkit::conformance::Conformance;
use doorward_testkit::rig::Rig;
use serde_json::{Value, json};

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// How many scenarios the suite scores at a revision.
const SCORED: [(&str, usize); 2] = [(LEGACY, 30), (MODERN, 37)];

/// The fixture, and Doorward before it.
struct Behind {
    app: TestApp,
    _fixtures: Vec<Rig>,
    bearer: String,
}

impl Behind {
    /// One fixture with these options, and a second plain one, both as gateways.
    async fn fixture(options: &Value) -> Self {
        let app = TestApp::start().await;
        let mut fixtures = Vec::new();
        for (slug, options) in [("suite", options), ("other", &json!({}))] {
            let (fixture, url) = started("mcp_fixture.mjs", options).await;
            app.register_input(GatewayInput {
                slug: Some(slug.to_owned()),
                name: Some(slug.to_owned()),
                url: Some(url),
                state: Some(GatewayState::Published),
                access: None,
                on_change: None,
                era: None,
                tool_access: None,
                catalog_sharing: None,
                client_certificate: Default::default(),
                authorization: Some(AuthorizationInput::None),
            })
            .await;
            fixtures.push(fixture);
        }
        let person = app.user("alice").await;
        let bearer = app.api_token(&person, Audience::Mcp).await;
        Self { app, _fixtures: fixtures, bearer }
    }

    /// Runs the suite at one gateway's own endpoint, where nothing is renamed.
    async fn at_the_gateway(&self, revision: &str) -> Conformance {
        self.through_the_shim("/gateways/suite/mcp", None, revision).await
    }

    /// Runs the suite at `/mcp`, where two gateways offer the same and names are prefixed.
    async fn at_all(&self, revision: &str) -> Conformance {
        self.through_the_shim("/mcp", Some("suite-"), revision).await
    }

    async fn through_the_shim(&self, path: &str, prefix: Option<&str>, revision: &str) -> Conformance {
        let target = format!("{}{path}", self.app.origin);
        let options = json!({ "target": target, "bearer": self.bearer, "prefix": prefix });
        let (_shim, url) = started("mcp_shim.mjs", &options).await;
        Conformance::of_server(&url, revision).await
    }
}

async fn started(script: &str, options: &Value) -> (Rig, String) {
    let mut rig = Rig::node(script, options);
    let url = rig.next().await["url"].as_str().unwrap().to_owned();
    (rig, url)
}

/// All that counts at this revision has passed.
fn assert_whole(seen: &Conformance, revision: &str) {
    let scored = SCORED.iter().find(|(of, _)| *of == revision).map(|(_, scored)| *scored);
    assert_eq!(seen.failed(), Vec::<&str>::new(), "at {revision}:\n{}", seen.output);
    assert_eq!(Some(seen.scored.len()), scored, "at {revision}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixture_alone_conforms_to_both_revisions() {
    let (_fixture, url) = started("mcp_fixture.mjs", &json!({})).await;
    for (revision, _) in SCORED {
        assert_whole(&Conformance::of_server(&url, revision).await, revision);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_gateways_endpoint_conforms_to_2025_11_25() {
    let seen = Behind::fixture(&json!({})).await.at_the_gateway(LEGACY).await;
    assert_whole(&seen, LEGACY);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_gateways_endpoint_conforms_to_2026_07_28() {
    let seen = Behind::fixture(&json!({})).await.at_the_gateway(MODERN).await;
    assert_whole(&seen, MODERN);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_gateways_in_one_conform_to_2025_11_25() {
    let seen = Behind::fixture(&json!({})).await.at_all(LEGACY).await;
    assert_whole(&seen, LEGACY);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_gateways_in_one_conform_to_2026_07_28() {
    let seen = Behind::fixture(&json!({})).await.at_all(MODERN).await;
    assert_whole(&seen, MODERN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_result_type_is_repaired() {
    let forgetful = json!({ "forgets_result_type": true });
    let (_fixture, url) = started("mcp_fixture.mjs", &forgetful).await;
    assert!(!Conformance::of_server(&url, MODERN).await.failed().is_empty(), "directly it does not conform");
    let behind = Behind::fixture(&forgetful).await;
    assert_whole(&behind.at_the_gateway(MODERN).await, MODERN);
    assert_whole(&behind.at_all(MODERN).await, MODERN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_modern_era_alone_conforms_to_2025_11_25_behind_doorward() {
    let behind = Behind::fixture(&json!({ "eras": "modern" })).await;
    assert_whole(&behind.at_the_gateway(LEGACY).await, LEGACY);
}

/// The suite looks for the keys that a server gave its `inputRequests`; here they are Doorward's, because an
/// older server has none. And it has no code for a capability that its client lacks.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_legacy_era_alone_conforms_to_2026_07_28_behind_doorward_but_for_what_it_cannot_say()
{
    let behind = Behind::fixture(&json!({ "eras": "legacy" })).await;
    let seen = behind.at_the_gateway(MODERN).await;
    let expected = ["input-required-result-basic-elicitation", "server-stateless"];
    assert_eq!(seen.failed(), expected, "{}", seen.output);
}
