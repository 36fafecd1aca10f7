//! Tokens that are bound to a key of ours (DPoP, RFC 9449): each request carries a fresh proof that the key is here.

use crate::client_assertion::BadPrivateKey;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use doorward_domain::{AccessToken, Clock, DpopKey, Entropy, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use url::{Position, Url};

/// The header that carries a proof.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The header by which a server wants something of its own in the next proof (§8, §9).
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Longer ones are nobody's.
const NONCE_MAX: usize = 500;

/// A key, ready to sign.
#[derive(Clone)]
pub struct ProofKey {
    key: EncodingKey,
    public: Jwk,
    clock: Clock,
    entropy: Entropy,
}

/// A key and the access token that is bound to it.
#[derive(Clone)]
pub struct TokenProof {
    key: Arc<ProofKey>,
    /// The token's hash (§4.2, `ath`).
    token_hash: String,
    /// What the server last wanted in a proof.
    nonce: Arc<Mutex<Option<String>>>,
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

/// A new private key, in PEM.
///
/// # Panics
/// When the operating system has no randomness to give; nothing safe can be done then.
pub fn new_dpop_key() -> DpopKey {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).and_then(|key| key.to_pkcs8v1());
    let der = key.expect("the operating system's random source answers");
    DpopKey::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    ))
}

impl ProofKey {
    /// Reads a private key in PEM.
    pub fn new(key: &DpopKey, clock: Clock, entropy: Entropy) -> Result<Self, BadPrivateKey> {
        let key = EncodingKey::from_ec_pem(key.expose_secret().as_bytes()).map_err(|_| BadPrivateKey)?;
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| BadPrivateKey)?;
        // The header says the algorithm; what a key is for is nobody's business (§4.2).
        public.common.key_algorithm = None;
        Ok(Self { key, public, clock, entropy })
    }

    /// The proof of one request, for the token endpoint.
    pub(crate) fn proof(&self, method: &Method, url: &Url, nonce: Option<&str>) -> Option<HeaderValue> {
        self.signed(method, url, None, nonce)
    }

    fn signed(
        &self,
        method: &Method,
        url: &Url,
        token_hash: Option<&str>,
        nonce: Option<&str>,
    ) -> Option<HeaderValue> {
        let now: Timestamp = self.clock.now();
        let claims = Claims {
            jti: self.entropy.token(),
            htm: method.as_str(),
            // §4.2: without query and fragment.
            htu: &url[..Position::AfterPath],
            iat: now.millis().div_euclid(1_000),
            ath: token_hash,
            nonce,
        };
        let header = Header {
            typ: Some("dpop+jwt".to_owned()),
            jwk: Some(self.public.clone()),
            ..Header::new(Algorithm::ES256)
        };
        let mut value = HeaderValue::from_str(&encode(&header, &claims, &self.key).ok()?).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl TokenProof {
    /// For requests that carry this token.
    pub fn new(key: Arc<ProofKey>, token: &AccessToken) -> Self {
        let token_hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.expose_secret().as_bytes()));
        Self { key, token_hash, nonce: Arc::default() }
    }

    /// The proof of one request; each has its own.
    pub fn header(&self, method: &Method, url: &Url) -> Option<HeaderValue> {
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.key.signed(method, url, Some(&self.token_hash), nonce.as_deref())
    }

    /// Notes what the server wants in the next proof; whether it is something new (§9).
    pub fn note_nonce(&self, headers: &HeaderMap) -> bool {
        let Some(fresh) = nonce_of(headers) else { return false };
        let mut known = self.nonce.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = known.as_deref() != Some(fresh);
        *known = Some(fresh.to_owned());
        is_new
    }
}

/// What a server wants in the next proof.
pub(crate) fn nonce_of(headers: &HeaderMap) -> Option<&str> {
    let nonce = headers.get(NONCE)?.to_str().ok()?;
    (!nonce.is_empty() && nonce.len() <= NONCE_MAX).then_some(nonce)
}

impl std::fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl std::fmt::Debug for TokenProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
    use serde_json::Value;

    fn key() -> ProofKey {
        ProofKey::new(&new_dpop_key(), Clock::mock(Timestamp::from_millis(1_800_000_000_000)), Entropy)
            .unwrap()
    }

    fn verified(proof: &HeaderValue) -> Value {
        let header = decode_header(proof).unwrap();
        assert_eq!(header.typ.as_deref(), Some("dpop+jwt"));
        let key = DecodingKey::from_jwk(&header.jwk.unwrap()).unwrap();
        let mut rules = Validation::new(Algorithm::ES256);
        rules.required_spec_claims.clear();
        decode::<Value>(proof, &key, &rules).unwrap().claims
    }

    #[test]
    fn a_proof_names_its_request_and_its_token_and_never_repeats() {
        let proof = TokenProof::new(Arc::new(key()), &AccessToken::new("t"));
        let url = "https://mcp.example/mcp?x=1#y".parse().unwrap();
        let (one, other) =
            (proof.header(&Method::POST, &url).unwrap(), proof.header(&Method::POST, &url).unwrap());
        assert!(one != other && one.is_sensitive());
        let claims = verified(&one);
        assert_eq!((&claims["htm"], &claims["htu"]), (&"POST".into(), &"https://mcp.example/mcp".into()));
        assert_eq!((&claims["iat"], claims.get("nonce")), (&1_800_000_000.into(), None));
        assert_eq!(claims["ath"], URL_SAFE_NO_PAD.encode(digest(&SHA256, b"t")));
        assert_ne!(claims["jti"], verified(&other)["jti"]);
    }

    #[test]
    fn what_the_server_wants_in_the_next_proof_is_in_it() {
        let proof = TokenProof::new(Arc::new(key()), &AccessToken::new("t"));
        let headers = HeaderMap::from_iter([(NONCE, HeaderValue::from_static("n-1"))]);
        assert!(
            proof.note_nonce(&headers) && !proof.note_nonce(&headers) && !proof.note_nonce(&HeaderMap::new())
        );
        let url = "https://mcp.example/mcp".parse().unwrap();
        assert_eq!(verified(&proof.header(&Method::POST, &url).unwrap())["nonce"], "n-1");
        let long = HeaderMap::from_iter([(NONCE, HeaderValue::from_str(&"n".repeat(600)).unwrap())]);
        assert!(!proof.note_nonce(&long));
    }
}
