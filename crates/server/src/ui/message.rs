//! A page that says one thing and where to go from there.

use crate::ui::parts::{Icon, Tone};
use askama::Template;

/// One message, with one or two ways on.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct Message {
    demo: bool,
    tone: Tone,
    icon: Icon,
    title: String,
    lines: Vec<String>,
    /// Where the button leads, and what it says.
    next: (String, &'static str),
    other: Option<(String, &'static str)>,
}

impl Message {
    pub(super) fn new(
        demo: bool,
        tone: Tone,
        title: impl Into<String>,
        next: (String, &'static str),
    ) -> Self {
        Self { demo, tone, icon: tone.icon(), title: title.into(), lines: Vec::new(), next, other: None }
    }

    /// With one more paragraph.
    pub(super) fn line(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// With a second way on.
    pub(super) fn or(mut self, href: impl Into<String>, label: &'static str) -> Self {
        self.other = Some((href.into(), label));
        self
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let connected = Message::new(
        true,
        Tone::Ok,
        "GitHub <mcp> is connected",
        ("/ui/connections".into(), "My connections"),
    )
    .line("You connected it as htanaka.")
    .line("Go back to your client: the call that asked goes through now.")
    .or("/ui/connect-a-client", "Connect a client");
    let problem =
        Message::new(true, Tone::Bad, "That did not work", ("/connect/github".into(), "Start again"))
            .line("This authorization was begun more than ten minutes ago and has expired.");
    vec![("connected", connected.render().unwrap()), ("connect-problem", problem.render().unwrap())]
}
