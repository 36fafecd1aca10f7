//! What each answer of a token endpoint means for the grant, for the gateway and for the provider, in one
//! table; and lifetimes as providers really send them.

use crate::world::{World, bearer};
use doorward_broker::Access;
use doorward_demo::TokenFault;
use doorward_domain::{GrantState, ReauthorizationReason};

/// What becomes of a grant whose token has ended.
#[derive(Debug, PartialEq)]
enum Fate {
    /// The user has to authorize.
    Parked,
    /// The refresh token may be spent.
    Uncertain,
    /// Kept, and tried again later.
    Kept,
    /// Kept, and the gateway is flagged with this code.
    Flagged(&'static str),
    /// It was no failure.
    Renewed,
}

fn refused(status: u16, error: &str) -> TokenFault {
    TokenFault::Refused { status, error: error.into() }
}

fn body(status: u16, content_type: &str, body: &str) -> TokenFault {
    TokenFault::Says { status, content_type: content_type.into(), body: body.into() }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn table() -> Vec<(TokenFault, Fate)> {
    use Fate::{Flagged, Kept, Parked, Renewed, Uncertain};
    vec![
        (refused(400, "invalid_grant"), Parked),
        (refused(401, "invalid_grant"), Parked),
        (refused(400, "invalid_refresh_token"), Parked),
        (TokenFault::OkWithError { error: "bad_refresh_token".into() }, Parked),
        (body(200, JSON, r#"{"ok":false,"error":"invalid_refresh_token"}"#), Parked),
        (body(200, FORM, "error=bad_refresh_token&error_description=gone"), Parked),
        (body(400, JSON, ""), Parked),
        (refused(401, "invalid_client"), Flagged("invalid_client")),
        (refused(400, "unauthorized_client"), Flagged("unauthorized_client")),
        (refused(400, "invalid_request"), Flagged("invalid_request")),
        (refused(400, "invalid_scope"), Flagged("invalid_scope")),
        (body(200, JSON, r#"{"ok":false,"error":"bad_client_secret"}"#), Flagged("bad_client_secret")),
        (
            body(200, FORM, "error=incorrect_client_credentials&error_description=x"),
            Flagged("incorrect_client_credentials"),
        ),
        (TokenFault::Unavailable { retry_after_seconds: 1 }, Kept),
        (refused(429, "slow_down"), Kept),
        (refused(400, "temporarily_unavailable"), Kept),
        (refused(500, "server_error"), Kept),
        (body(403, "text/html", "<html>Blocked by the firewall</html>"), Kept),
        (body(502, "text/html", "<html>Bad gateway</html>"), Kept),
        (TokenFault::Redirect { location: "https://elsewhere.example/".into() }, Kept),
        (TokenFault::AnswerLost, Uncertain),
        (TokenFault::Malformed, Uncertain),
        (body(200, "text/html", "<html>Log in</html>"), Uncertain),
        (TokenFault::FormEncoded, Renewed),
    ]
}

#[tokio::test]
async fn r13_r14_r17_r20_each_answer_parks_flags_or_keeps_as_the_table_says() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    for (fault, fate) in table() {
        let case = format!("{fault:?}");
        // Each case with a fresh consent, and nothing remembered of the one before.
        world.connect(&world.broker, &world.alice, None).await;
        let broker = world.second_broker();
        world.advance(301);
        world.demo.authorization_server.faults().next_token_answer(fault);
        let access = broker.access(&world.alice, &gateway).await.unwrap();
        let grant = world.grant(&gateway).await.unwrap();
        let flag = world.storage.gateway(gateway.id).await.unwrap().unwrap();
        let flag = flag.oauth().unwrap().registration_problem.clone().map(|problem| problem.code);
        let parked = GrantState::NeedsAuthorization(ReauthorizationReason::InvalidGrant);
        let found = match (grant.state, grant.failures, &flag) {
            (state, _, None) if state == parked => Fate::Parked,
            (GrantState::Uncertain, _, None) => Fate::Uncertain,
            (GrantState::Active, 0, None) => Fate::Renewed,
            (GrantState::Active, 1, None) => Fate::Kept,
            (GrantState::Active, 1, Some(code)) => match fate {
                Fate::Flagged(expected) if code == expected => Fate::Flagged(expected),
                _ => panic!("{case}: flagged with {code}"),
            },
            other => panic!("{case}: {other:?}"),
        };
        assert_eq!(found, fate, "{case}");
        match fate {
            Fate::Parked | Fate::Uncertain => {
                assert!(matches!(access, Access::MustAuthorize { .. }), "{case}");
            }
            Fate::Kept | Fate::Flagged(_) => assert!(matches!(access, Access::Unavailable { .. }), "{case}"),
            Fate::Renewed => drop(bearer(&access)),
        }
        if let Fate::Kept | Fate::Flagged(_) = fate {
            // The next success clears what was noted, of the grant and of the gateway.
            world.advance(30);
            bearer(&broker.access(&world.alice, &gateway).await.unwrap());
            let grant = world.grant(&gateway).await.unwrap();
            assert_eq!((grant.failures, grant.last_error, grant.retry_at), (0, None, None), "{case}");
            let mended = world.storage.gateway(gateway.id).await.unwrap().unwrap();
            assert_eq!(mended.oauth().unwrap().registration_problem, None, "{case}");
        }
    }
    assert_eq!(world.demo.authorization_server.log().refresh_token_reuses, 0);
}

#[tokio::test]
async fn r14_a_refused_registration_flags_its_gateway_once_and_is_probed_only() {
    let world = World::start().await;
    let gateway = world.connected().await;
    for number in 0..20 {
        world.one_more_grant(&gateway, &format!("account {number}")).await;
    }
    world.advance(301);
    world.demo.authorization_server.faults().every_token_answer(Some(refused(401, "invalid_client")));
    for _ in 0..600 {
        world.broker.refresh_due().await.unwrap();
        world.advance(1);
    }
    // Up to 16 are under way before the first answer is there.
    assert!(world.refresh_requests() < 16 + 12, "{}", world.refresh_requests());
    let Access::Unavailable { problem, .. } = world.access(&gateway).await else { panic!() };
    assert!(problem.contains("administrator"), "{problem}");
    world.demo.authorization_server.faults().every_token_answer(None);
    // An edit forgets the flag, and so the next call tells at once.
    let mended = world.edited(&gateway, |_| ()).await;
    bearer(&world.access(&mended).await);
    let events = world.time_line_of_gateway(gateway.id).await;
    assert_eq!(
        events.iter().filter(|action| *action == "gateway.registration_refused").count(),
        1,
        "{events:?}"
    );
    assert!(world.broker.circuits().is_empty(), "a provider that answers is not down");
}

#[tokio::test]
async fn r6_tokens_are_stored_whatever_else_the_answer_says() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let before = world.grant(&gateway).await.unwrap();
    world.advance(301);
    // An ID token that no key signed, an account that is none, scopes that are not words: none of it is looked
    // at before the pair is stored, because the old refresh token is spent by now.
    let answer = r#"{"access_token":"fresh","refresh_token":"fresh too","id_token":"e30.e30.e30","scope":{},
        "expires_in":300}"#;
    world.demo.authorization_server.faults().next_token_answer(body(200, JSON, answer));
    assert_eq!(bearer(&world.access(&gateway).await), "Bearer fresh");
    assert_eq!(bearer(&world.access(&gateway).await), "Bearer fresh");
    assert_eq!(world.refresh_requests(), 1, "no second redeem");
    let after = world.grant(&gateway).await.unwrap();
    assert_eq!((after.refresh_number, after.account), (before.refresh_number + 1, before.account));
    assert_eq!(after.scopes_granted, before.scopes_granted);
}

#[tokio::test]
async fn r20_a_lifetime_is_never_invented_and_never_lost_with_its_token() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let id = world.grant(&gateway).await.unwrap().id;
    let cases = [
        ("", None),
        (r#","expires_in":0"#, Some(0)),
        (r#","expires_in":"3600""#, Some(3_600)),
        (r#","expires_in":"3600abc""#, None),
        (r#","expires_in":-1"#, None),
        (r#","expires_in":1e300"#, None),
        (r#","expires_in":99999999999999999999"#, None),
    ];
    for (number, (lifetime, expected)) in cases.into_iter().enumerate() {
        let answer = format!(r#"{{"access_token":"t{number}","refresh_token":"r{number}"{lifetime}}}"#);
        world.demo.authorization_server.faults().next_token_answer(body(200, JSON, &answer));
        world.broker.refresh_now(&world.admin, id).await.unwrap();
        let grant = world.grant(&gateway).await.unwrap();
        let lived = grant.tokens.expires_at.map(|end| grant.issued_at.until(end).as_secs());
        assert_eq!(lived, expected, "{lifetime}");
        assert_eq!(grant.refresh_number, 2 + number as i64, "{lifetime}: the tokens are kept");
    }
}
