//! The small parts that pages are made of: icons, badges, moments. Each writes its own safe HTML.

use askama::filters::HtmlSafe;
use doorward_domain::{GatewayState, Health, Timestamp};
use std::fmt::{Display, Formatter, Result};

/// A picture on a 16 px grid with one stroke width. Decorative: the word stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icon {
    Bang,
    Broken,
    Check,
    Clock,
    Copy,
    Cross,
    Dot,
    Info,
    Key,
    Keyboard,
    Menu,
    Off,
    Plug,
    Plus,
    Question,
    Search,
    Server,
}

impl Icon {
    const fn path(self) -> &'static str {
        match self {
            Self::Bang => "M8 2.5v7M8 13v.1",
            Self::Broken => {
                "M6.5 9.5 5 11a2.5 2.5 0 0 1-3.5-3.5L3 6M9.5 6.5 11 5a2.5 2.5 0 0 1 3.5 3.5L13 10M3 3l10 10"
            }
            Self::Check => "m3 8.5 3.5 3.5L13 4.5",
            Self::Clock => "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 5v3.2l2 1.3",
            Self::Copy => "M6 6h7.5v7.5H6zM3.5 10H2.5V2.5H10v1",
            Self::Cross => "m4 4 8 8M12 4l-8 8",
            Self::Dot => "M8 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z",
            Self::Info => "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 7.5v3.5M8 5v.1",
            Self::Key => "M5.5 6.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM8 7.5 13.5 2M11 4.5l2 2",
            Self::Keyboard => "M1.5 4h13v8h-13zM4 6.5v.1M6.7 6.5v.1M9.3 6.5v.1M12 6.5v.1M5 9.5h6",
            Self::Menu => "M2 4h12M2 8h12M2 12h12",
            Self::Off => "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM4 12l8-8",
            Self::Plug => "M6 1.5v4M10 1.5v4M4 5.5h8V8a4 4 0 0 1-8 0zM8 12v2.5",
            Self::Plus => "M8 3v10M3 8h10",
            Self::Question => "M5.5 5.5a2.5 2.5 0 1 1 3.7 2.2C8.3 8.2 8 8.7 8 9.7M8 13v.1",
            Self::Search => "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.5 10.5 14 14",
            Self::Server => "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5v.1M5 11v.1",
        }
    }
}

impl Display for Icon {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            r#"<svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{}"/></svg>"#,
            self.path()
        )
    }
}

impl HtmlSafe for Icon {}

/// How a badge or a note is meant. The class of the same name gives the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Ok,
    Warn,
    Bad,
    Info,
    Mute,
}

impl Tone {
    /// The class name.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
            Self::Mute => "mute",
        }
    }

    /// The picture that goes with it where there is no better one.
    pub(crate) const fn icon(self) -> Icon {
        match self {
            Self::Ok => Icon::Check,
            Self::Warn | Self::Bad => Icon::Bang,
            Self::Info | Self::Mute => Icon::Info,
        }
    }
}

/// A state as icon and word, so that colour is never alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Badge {
    pub(crate) tone: Tone,
    pub(crate) icon: Icon,
    pub(crate) word: &'static str,
}

impl Badge {
    pub(crate) const fn new(tone: Tone, icon: Icon, word: &'static str) -> Self {
        Self { tone, icon, word }
    }

    /// How a grant fares.
    pub(crate) const fn health(health: Health) -> Self {
        match health {
            Health::Valid => Self::new(Tone::Ok, Icon::Check, "Valid"),
            Health::ExpiringSoon => Self::new(Tone::Warn, Icon::Clock, "Expiring soon"),
            Health::Expired => Self::new(Tone::Bad, Icon::Off, "Expired"),
            Health::NeedsAuthorization => Self::new(Tone::Bad, Icon::Bang, "Needs authorization"),
            Health::Uncertain => Self::new(Tone::Info, Icon::Question, "Uncertain"),
            Health::Orphaned => Self::new(Tone::Mute, Icon::Broken, "Orphaned"),
        }
    }

    /// Who may use a gateway.
    pub(crate) const fn gateway(state: GatewayState) -> Self {
        match state {
            GatewayState::Published => Self::new(Tone::Ok, Icon::Check, "Published"),
            GatewayState::Draft => Self::new(Tone::Info, Icon::Dot, "Draft"),
            GatewayState::Disabled => Self::new(Tone::Mute, Icon::Off, "Disabled"),
        }
    }
}

impl Display for Badge {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, r#"<span class="badge {}">{}{}</span>"#, self.tone.class(), self.icon, self.word)
    }
}

impl HtmlSafe for Badge {}

/// One choice of a drop-down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) chosen: bool,
}

impl Choice {
    /// The first of a filter: it lets everything pass.
    pub(crate) fn any(label: &str, chosen: bool) -> Self {
        Self { value: String::new(), label: label.to_owned(), chosen }
    }

    pub(crate) fn new(value: impl Into<String>, label: impl Into<String>, chosen: bool) -> Self {
        Self { value: value.into(), label: label.into(), chosen }
    }
}

/// One of several views of the same subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tab {
    pub(crate) href: String,
    pub(crate) label: &'static str,
    pub(crate) here: bool,
}

/// A sentence with a moment in it, so that the moment shows in the viewer's zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) before: String,
    pub(crate) at: Option<Moment>,
    pub(crate) after: &'static str,
}

impl Said {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { before: text.into(), ..Self::default() }
    }

    pub(crate) fn at(before: impl Into<String>, at: Timestamp, after: &'static str) -> Self {
        Self { before: before.into(), at: Some(Moment::exact(at)), after }
    }
}

/// `1,284`: digits in threes, as people read them.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `github.com` of `https://github.com`: what a person calls a provider by.
pub(crate) fn host_of(provider: &str) -> &str {
    let bare = provider.split_once("://").map_or(provider, |(_, rest)| rest);
    bare.trim_end_matches('/')
}

/// A moment in the page. A script turns it into the viewer's own zone; without it, it is in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    at: Timestamp,
    /// Seen from here, where the text is relative.
    now: Option<Timestamp>,
}

impl Moment {
    /// As a date and time.
    pub(crate) const fn exact(at: Timestamp) -> Self {
        Self { at, now: None }
    }

    /// As a distance from now.
    pub(crate) const fn relative(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now: Some(now) }
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (at, exact) = (self.at, date_and_time(self.at));
        match self.now {
            Some(now) => {
                let text = distance(at, now);
                write!(f, r#"<time datetime="{at}" title="{exact}" data-relative>{text}</time>"#)
            }
            None => write!(f, r#"<time datetime="{at}">{exact}</time>"#),
        }
    }
}

impl HtmlSafe for Moment {}

/// `2 Sep 2026, 09:14 UTC`, from the RFC 3339 text; that text itself where it has another shape.
fn date_and_time(at: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = at.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().ok().and_then(|number| MONTHS.get(number.wrapping_sub(1)));
    match month {
        Some(month) => {
            format!("{} {month} {}, {} UTC", part(8..10).trim_start_matches('0'), part(0..4), part(11..16))
        }
        None => text,
    }
}

pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    let (seconds, past) = (at.until(now).max(now.until(at)).as_secs(), at <= now);
    let amount = match seconds {
        0..60 => return if past { "just now" } else { "in a moment" }.to_owned(),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    };
    if past { format!("{amount} ago") } else { format!("in {amount}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_788_340_440_000);

    #[test]
    fn a_moment_reads_as_a_person_says_it() {
        assert_eq!(
            Moment::exact(NOW).to_string(),
            r#"<time datetime="2026-09-02T09:14:00Z">2 Sep 2026, 09:14 UTC</time>"#
        );
        let seen = |seconds: i64| distance(Timestamp::from_millis(NOW.millis() + seconds * 1_000), NOW);
        assert_eq!(seen(-3), "just now");
        assert_eq!(seen(-240), "4 min ago");
        assert_eq!(seen(-2 * 3_600), "2 h ago");
        assert_eq!(seen(-3 * 86_400), "3 d ago");
        assert_eq!(seen(30), "in a moment");
        assert_eq!(seen(41 * 60), "in 41 min");
        assert_eq!(date_and_time(Timestamp::from_millis(i64::MAX)), format!("{}ms", i64::MAX));
    }

    #[test]
    fn numbers_and_providers_read_as_a_person_writes_them() {
        assert_eq!([0, 999, 1_284, 1_000_000].map(grouped), ["0", "999", "1,284", "1,000,000"]);
        assert_eq!(host_of("https://login.example.com/tenant/"), "login.example.com/tenant");
        assert_eq!(host_of("urn"), "urn");
    }

    #[test]
    fn every_health_has_a_shape_of_its_own() {
        let all = [
            Health::Valid,
            Health::ExpiringSoon,
            Health::Expired,
            Health::NeedsAuthorization,
            Health::Uncertain,
            Health::Orphaned,
        ];
        let badges: Vec<Badge> = all.into_iter().map(Badge::health).collect();
        for (at, badge) in badges.iter().enumerate() {
            assert!(
                badges[at + 1..].iter().all(|other| other.icon != badge.icon && other.word != badge.word)
            );
            assert!(badge.to_string().contains(badge.word) && badge.to_string().contains("<svg"));
        }
    }
}
