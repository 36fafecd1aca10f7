//! The signature of webhooks, as Standard Webhooks describes it: HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Begins the text form of a secret, so that scanners know one when they see it.
const PREFIX: &str = "whsec_";

/// How many bytes a secret may have.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What webhooks are signed with. It does not print.
#[derive(Clone)]
pub struct WebhookSecret(Key);

/// A text that is no secret of a webhook. The value is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give `whsec_` and 24 to 64 bytes in base64, for example whsec_$(openssl rand -base64 32)")]
pub struct WebhookSecretError;

impl WebhookSecret {
    /// Reads `whsec_` and base64.
    pub fn parse(text: &SecretString) -> Result<Self, WebhookSecretError> {
        let encoded = text.expose_secret().strip_prefix(PREFIX).ok_or(WebhookSecretError)?;
        let bytes = STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| WebhookSecretError)?;
        if BYTES.contains(&bytes.len()) {
            Ok(Self(Key::new(HMAC_SHA256, &bytes)))
        } else {
            Err(WebhookSecretError)
        }
    }

    /// The value of the header `webhook-signature` for a message of this id, sent at this time (seconds).
    pub fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let tag = sign(&self.0, format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<WebhookSecret, WebhookSecretError> {
        WebhookSecret::parse(&SecretString::from(text))
    }

    /// The example of the specification's own libraries.
    #[test]
    fn the_signature_is_the_one_that_other_implementations_compute() {
        let secret = read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let made = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }

    #[test]
    fn a_secret_has_its_prefix_and_enough_bytes() {
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_not base64"] {
            assert_eq!(read(bad).unwrap_err(), WebhookSecretError, "{bad}");
        }
    }
}
