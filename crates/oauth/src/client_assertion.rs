//! A signed statement in place of a client secret: `private_key_jwt` (RFC 7523 §2.2, OpenID Connect Core §9).

use doorward_domain::{ClientSecret, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde::Serialize;

/// How long an assertion may be used, in seconds: long enough for clocks that differ, too short to be worth stealing.
const LIFETIME: i64 = 120;

/// What an assertion says.
#[derive(Debug)]
pub struct Assertion<'a> {
    pub client_id: &'a str,
    /// The authorization server: its issuer, or the token endpoint where none is known.
    pub audience: &'a str,
    /// What the server calls the key.
    pub key_id: Option<&'a str>,
    pub now: Timestamp,
    /// Never the same twice.
    pub id: &'a str,
}

/// The private key is none that can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the private key cannot be used: give an EC (P-256 or P-384), RSA or Ed25519 key in PEM, as PKCS#8")]
pub struct BadPrivateKey;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

impl Assertion<'_> {
    /// Signs it with a private key in PEM. The algorithm follows from the key.
    pub fn signed(&self, private_key: &ClientSecret) -> Result<ClientSecret, BadPrivateKey> {
        let now = self.now.millis().div_euclid(1_000);
        let claims = Claims {
            iss: self.client_id,
            sub: self.client_id,
            aud: self.audience,
            jti: self.id,
            iat: now,
            exp: now + LIFETIME,
        };
        let (key, algorithms) = key_of(private_key.expose_secret().as_bytes())?;
        let sign = |algorithm: &Algorithm| {
            let header = Header { kid: self.key_id.map(str::to_owned), ..Header::new(*algorithm) };
            encode(&header, &claims, &key).ok()
        };
        // Only the right one of the two curves takes the key.
        algorithms.iter().find_map(sign).map(ClientSecret::new).ok_or(BadPrivateKey)
    }
}

/// Whether a text is a private key that can sign.
pub fn check_private_key(private_key: &ClientSecret) -> Result<(), BadPrivateKey> {
    let now = Timestamp::from_millis(0);
    Assertion { client_id: "", audience: "", key_id: None, now, id: "" }.signed(private_key).map(drop)
}

fn key_of(pem: &[u8]) -> Result<(EncodingKey, &'static [Algorithm]), BadPrivateKey> {
    if let Ok(key) = EncodingKey::from_ec_pem(pem) {
        return Ok((key, &[Algorithm::ES256, Algorithm::ES384]));
    }
    if let Ok(key) = EncodingKey::from_ed_pem(pem) {
        return Ok((key, &[Algorithm::EdDSA]));
    }
    EncodingKey::from_rsa_pem(pem).map(|key| (key, &[Algorithm::RS256][..])).map_err(|_| BadPrivateKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING as P256, ECDSA_P384_SHA384_FIXED_SIGNING as P384, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair,
    };
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use serde_json::Value;

    fn pem(der: &[u8]) -> ClientSecret {
        let lines = STANDARD
            .encode(der)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect::<Vec<_>>();
        ClientSecret::new(format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        ))
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> ClientSecret {
        pem(EcdsaKeyPair::generate(algorithm).unwrap().to_pkcs8v1().unwrap().as_ref())
    }

    fn header_of(signed: &ClientSecret) -> Value {
        let header = signed.expose_secret().split('.').next().unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
    }

    #[test]
    fn the_algorithm_follows_from_the_key() {
        let rsa: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        let ed = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        let keys = [
            (ec(&P256), "ES256"),
            (ec(&P384), "ES384"),
            (pem(rsa.as_ref()), "RS256"),
            (pem(ed.as_ref()), "EdDSA"),
        ];
        let of = Assertion {
            client_id: "c",
            audience: "a",
            key_id: None,
            now: Timestamp::from_millis(0),
            id: "j",
        };
        for (key, algorithm) in keys {
            assert_eq!(header_of(&of.signed(&key).unwrap())["alg"], algorithm);
        }
        for bad in ["", "secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
            assert_eq!(check_private_key(&ClientSecret::new(bad)), Err(BadPrivateKey), "{bad}");
        }
    }

    #[test]
    fn an_assertion_names_the_client_and_the_server_and_ends_soon() {
        let key = ec(&P256);
        let now = Timestamp::from_millis(1_800_000_000_500);
        let of =
            Assertion { client_id: "c", audience: "https://as.example", key_id: Some("k1"), now, id: "j" };
        let signed = of.signed(&key).unwrap();
        let parts: Vec<&str> = signed.expose_secret().split('.').collect();
        let part = |at: usize| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap()
        };
        assert_eq!(part(0), serde_json::json!({ "typ": "JWT", "alg": "ES256", "kid": "k1" }));
        assert_eq!(
            part(1),
            serde_json::json!({
                "iss": "c", "sub": "c", "aud": "https://as.example", "jti": "j",
                "iat": 1_800_000_000, "exp": 1_800_000_120,
            })
        );
    }
}
