//! Keys, as far as a grant notices them.

use crate::world::{World, bearer, broker_over, provider};
use doorward_demo::AuthorizationServerOptions;
use doorward_domain::Entropy;
use doorward_vault::KeyRing;
use secrecy::ExposeSecret;

#[tokio::test]
async fn r11_a_refresh_token_that_is_kept_is_sealed_with_the_key_that_seals_now() {
    let options = |clock: &_| AuthorizationServerOptions { rotate_refresh_tokens: false, ..provider(clock) };
    let world = World::with_provider(options).await;
    let gateway = world.connected().await;
    let ring = KeyRing::parse(&world.ring).unwrap().with_new(Entropy, "k2").to_text();
    let broker = broker_over(&world.storage, &world.clock, ring.expose_secret());
    for refreshes in 1..=2 {
        world.advance(301);
        bearer(&broker.access(&world.alice, &gateway).await.unwrap());
        assert_eq!(world.refreshes(), refreshes);
        let tokens = world.grant(&gateway).await.unwrap().tokens;
        let keys = [tokens.access_token.key_id, tokens.refresh_token.unwrap().key_id].map(|key| key.0);
        assert_eq!(keys, ["k2", "k2"], "both secrets of a row are under the key that seals");
    }
}
