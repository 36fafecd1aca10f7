//! The question before something that cannot be taken back with one press.

use crate::ui::page::Frame;
use askama::Template;

/// A confirmation: nothing has happened yet, and the button's form does it.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct Confirm {
    pub(super) frame: Frame,
    pub(super) title: String,
    /// What it means, in a few sentences.
    pub(super) lines: Vec<String>,
    /// Where the form goes.
    pub(super) action: String,
    pub(super) button: &'static str,
    pub(super) danger: bool,
    /// Where "Cancel" leads.
    pub(super) back: String,
    /// The version that the page was made from, so that a change in between is noticed.
    pub(super) version: Option<i64>,
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let sample = Confirm {
        frame: Frame::sample(crate::ui::page::Here::Gateways),
        title: "Delete GitHub <mcp>?".into(),
        lines: vec!["3 people lose their connection.".into(), "This cannot be undone.".into()],
        action: "/ui/gateways/1/delete".into(),
        button: "Delete GitHub",
        danger: true,
        back: "/ui/gateways/1".into(),
        version: Some(3),
    };
    vec![("confirm", sample.render().unwrap())]
}
