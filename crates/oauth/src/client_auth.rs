//! How the client authenticates at the token endpoint (RFC 6749 §2.3).

use crate::dpop::ProofKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward_domain::{ClientSecret, TokenEndpointAuth};
use doorward_outbound::ClientIdentity;
use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret;
use url::form_urlencoded;

/// The parameters of one request.
pub(crate) type Parameters<'a> = Vec<(&'a str, &'a str)>;

const JWT_BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client id and secret, borrowed for one request.
#[derive(Debug, Clone, Copy)]
pub struct ClientCredentials<'a> {
    pub client_id: &'a str,
    /// With `private_key_jwt` the signed assertion, never the key.
    pub client_secret: Option<&'a ClientSecret>,
    pub auth: TokenEndpointAuth,
    /// What the tokens are to be bound to (RFC 9449 §5).
    pub dpop: Option<&'a ProofKey>,
    /// What is shown in the TLS handshake (RFC 8705 §2).
    pub identity: Option<&'a ClientIdentity>,
}

impl<'a> ClientCredentials<'a> {
    /// Adds the credentials to the parameters or to the headers.
    pub(crate) fn apply(&self, parameters: &mut Parameters<'a>, headers: &mut HeaderMap) {
        match (self.auth, self.client_secret) {
            (TokenEndpointAuth::Basic, Some(secret)) => {
                headers.insert(header::AUTHORIZATION, basic(self.client_id, secret));
            }
            (TokenEndpointAuth::Post, Some(secret)) => {
                parameters.push(("client_id", self.client_id));
                parameters.push(("client_secret", secret.expose_secret()));
            }
            // RFC 7523 §2.2; the assertion says which client it is, and so does RFC 6749 §3.2.1's parameter.
            (TokenEndpointAuth::PrivateKeyJwt, Some(assertion)) => {
                parameters.push(("client_id", self.client_id));
                parameters.push(("client_assertion_type", JWT_BEARER_ASSERTION));
                parameters.push(("client_assertion", assertion.expose_secret()));
            }
            // RFC 6749 §3.2.1: a client without credentials names itself.
            (TokenEndpointAuth::None, _) | (_, None) => parameters.push(("client_id", self.client_id)),
        }
    }
}

/// Parameters as a form (RFC 6749 appendix B).
pub(crate) fn form(parameters: &Parameters<'_>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// RFC 6749 §2.3.1: id and secret are form-encoded first, then joined and base64-encoded.
pub(crate) fn basic(client_id: &str, secret: &ClientSecret) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(client_id), encode(secret.expose_secret()));
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).expect("base64 is a header value");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(auth: TokenEndpointAuth, secret: Option<&ClientSecret>) -> (String, HeaderMap) {
        let (mut parameters, mut headers) = (Parameters::new(), HeaderMap::new());
        ClientCredentials { client_id: "gw:odd id", client_secret: secret, auth, dpop: None, identity: None }
            .apply(&mut parameters, &mut headers);
        (form(&parameters), headers)
    }

    #[test]
    fn basic_credentials_are_form_encoded_before_base64() {
        let secret = ClientSecret::new("s%ec+ret /&=");
        let (form, headers) = applied(TokenEndpointAuth::Basic, Some(&secret));
        assert_eq!(form, "");
        let value = headers[header::AUTHORIZATION].to_str().unwrap().trim_start_matches("Basic ");
        let plain = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
        assert_eq!(plain, "gw%3Aodd+id:s%25ec%2Bret+%2F%26%3D");
        assert!(headers[header::AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn post_and_none_stand_in_the_form() {
        let secret = ClientSecret::new("s");
        let (form, headers) = applied(TokenEndpointAuth::Post, Some(&secret));
        assert_eq!(form, "client_id=gw%3Aodd+id&client_secret=s");
        assert!(headers.is_empty());
        assert_eq!(applied(TokenEndpointAuth::None, Some(&secret)).0, "client_id=gw%3Aodd+id");
        assert_eq!(applied(TokenEndpointAuth::Basic, None).0, "client_id=gw%3Aodd+id");
    }
}
