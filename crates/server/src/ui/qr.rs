//! A QR code as inline SVG: black on white in every colour scheme, because scanners want it so.

use askama::filters::HtmlSafe;
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::{Display, Formatter, Result};

/// Light modules around the code that the standard asks for.
const QUIET: i32 = 4;

/// What an authenticator app is shown.
pub(super) struct Qr(Option<QrCode>);

impl Qr {
    /// Of a text; a text that is too long for any code gives none.
    pub(super) fn of(text: &str) -> Self {
        Self(QrCode::encode_text(text, QrCodeEcc::Medium).ok())
    }
}

// Numbers alone go into it.
impl HtmlSafe for Qr {}

impl Display for Qr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Some(code) = &self.0 else { return Ok(()) };
        let side = code.size() + 2 * QUIET;
        write!(
            f,
            "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code for an authenticator app\">"
        )?;
        write!(f, "<rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"")?;
        for y in 0..code.size() {
            for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
                write!(f, "M{} {}h1v1h-1z", x + QUIET, y + QUIET)?;
            }
        }
        write!(f, "\"/></svg>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_squares_and_one_that_is_too_long_nothing() {
        let drawn = Qr::of("otpauth://totp/Doorward:a?secret=GEZDGNBVGY3TQOJQ").to_string();
        assert!(
            drawn.starts_with("<svg class=\"qr\" viewBox=\"0 0 4") && drawn.ends_with("</svg>"),
            "{drawn}"
        );
        assert!(drawn.matches("h1v1h-1z").count() > 100 && !drawn.contains("otpauth"));
        assert_eq!(Qr::of(&"x".repeat(5_000)).to_string(), "");
    }
}
