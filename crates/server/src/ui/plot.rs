//! Numbers over time as bars, drawn on the server: an SVG without script or style of its own. The table behind
//! it says the same in numbers.

use crate::ui::parts::{Moment, Tone, grouped};
use askama::filters::HtmlSafe;
use doorward_domain::Timestamp;
use std::fmt::{Display, Formatter, Result};

/// How wide a bar's place is, and how high the tallest one, in units of the drawing.
const STEP: usize = 10;
const HEIGHT: f64 = 100.0;

/// One row of numbers, and how it is drawn.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) tone: Tone,
    /// Tells it from another of the same tone.
    pub(super) faint: bool,
    pub(super) word: String,
    pub(super) counts: Vec<u64>,
}

impl Series {
    /// The class that gives the colour.
    pub(super) fn class(&self) -> String {
        class_of(self.tone, self.faint)
    }

    pub(super) fn total(&self) -> String {
        grouped(self.counts.iter().sum())
    }

    /// What it stands at.
    pub(super) fn last(&self) -> String {
        grouped(self.counts.last().copied().unwrap_or_default())
    }
}

/// The class of a colour, or of the fainter one beside it.
pub(super) fn class_of(tone: Tone, faint: bool) -> String {
    let faint = if faint { " faint" } else { "" };
    format!("{}{faint}", tone.class())
}

/// Bars, one for each step of time, in which the rows stand on each other.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    /// Names it in the page.
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) steps: Vec<Timestamp>,
    pub(super) series: Vec<Series>,
}

impl Plot {
    /// The tallest bar.
    fn top(&self) -> u64 {
        (0..self.steps.len()).map(|at| self.bar(at).sum()).max().unwrap_or_default()
    }

    fn bar(&self, at: usize) -> impl Iterator<Item = u64> {
        self.series.iter().map(move |series| series.counts.get(at).copied().unwrap_or_default())
    }

    /// Whether there is anything to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.top() == 0
    }

    /// The number at the upper edge.
    pub(super) fn highest(&self) -> String {
        grouped(self.top())
    }

    pub(super) fn begins(&self) -> Moment {
        Moment::exact(self.steps.first().copied().unwrap_or(Timestamp::from_millis(0)))
    }

    /// The same in numbers: a row for each step in which there was anything, the newest first.
    pub(super) fn rows(&self) -> Vec<(Moment, Vec<String>)> {
        let row = |(at, step): (usize, &Timestamp)| {
            let counts: Vec<u64> = self.bar(at).collect();
            let any = counts.iter().any(|count| *count > 0);
            any.then(|| (Moment::exact(*step), counts.into_iter().map(grouped).collect()))
        };
        let mut rows: Vec<_> = self.steps.iter().enumerate().filter_map(row).collect();
        rows.reverse();
        rows
    }

    /// What somebody hears who does not see it.
    fn description(&self) -> String {
        let parts = self.series.iter().map(|series| format!("{}: {}", series.word, series.last()));
        format!(
            "{} bars. In the last one {}. At most {} in one.",
            self.steps.len(),
            parts.collect::<Vec<_>>().join(", "),
            self.highest()
        )
    }
}

impl Display for Plot {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (id, width, top) = (self.id, self.steps.len() * STEP, self.top().max(1) as f64);
        write!(
            f,
            r#"<svg class="bars" viewBox="0 0 {width} 100" preserveAspectRatio="none" role="img" aria-labelledby="{id}-title {id}-description"><title id="{id}-title">{}</title><desc id="{id}-description">{}</desc>"#,
            escaped(&self.title),
            escaped(&self.description())
        )?;
        for at in 0..self.steps.len() {
            let mut y = HEIGHT;
            for (series, count) in self.series.iter().zip(self.bar(at)) {
                let height = count as f64 / top * HEIGHT;
                y -= height;
                if count > 0 {
                    let (tone, x) = (series.class(), at * STEP + 1);
                    write!(
                        f,
                        r#"<rect class="{tone}" x="{x}" y="{y:.2}" width="{}" height="{height:.2}"/>"#,
                        STEP - 2
                    )?;
                }
            }
        }
        write!(f, "</svg>")
    }
}

impl HtmlSafe for Plot {}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::NOW;
    use doorward_domain::TallySpan;

    fn plot(first: &[u64], second: &[u64]) -> Plot {
        let series = |tone, word: &str, counts: &[u64]| Series {
            tone,
            faint: false,
            word: word.into(),
            counts: counts.into(),
        };
        Plot {
            id: "x",
            title: "<Refreshes>".into(),
            steps: TallySpan::Day.steps(NOW)[..first.len()].to_vec(),
            series: vec![series(Tone::Ok, "done", first), series(Tone::Bad, "failed", second)],
        }
    }

    #[test]
    fn bars_stand_on_each_other_and_the_tallest_fills_the_height() {
        let svg = plot(&[3, 0, 1], &[1, 0, 0]).to_string();
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains(r#"<rect class="ok" x="1" y="25.00" width="8" height="75.00"/>"#), "{svg}");
        assert!(svg.contains(r#"<rect class="bad" x="1" y="0.00" width="8" height="25.00"/>"#), "{svg}");
        assert!(svg.contains("&lt;Refreshes&gt;") && svg.contains("In the last one done: 1, failed: 0"));
    }

    #[test]
    fn the_table_has_what_the_bars_show_and_nothing_is_no_plot() {
        let some = plot(&[3, 0, 1_500], &[1, 0, 0]);
        let rows: Vec<_> = some.rows().into_iter().map(|(_, cells)| cells).collect();
        assert_eq!(rows, [["1,500", "0"], ["3", "1"]]);
        assert!(!some.is_empty() && plot(&[0, 0], &[0, 0]).is_empty());
        assert!(plot(&[0, 0], &[0, 0]).rows().is_empty());
    }
}
