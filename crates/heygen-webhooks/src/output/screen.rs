//! [`Screen`]: what standard output is shown on: how wide it is, and whether it shows colours.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Screen {
    /// In columns; `None` where everything is shown whole.
    pub(crate) width: Option<usize>,
    pub(crate) has_color: bool,
}

impl Screen {
    /// Asked each time: a window changes its size.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let size = terminal_size::terminal_size_of(&stdout);
        let width = size.map(|(terminal_size::Width(width), _)| usize::from(width));
        Self {
            width: width.filter(|_| !IS_WIDE.load(Ordering::Relaxed)),
            has_color: shows_color(&stdout),
        }
    }

    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        match self.has_color && !text.is_empty() {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }
}

/// Whether it shows colours, by `--color`, `NO_COLOR` and what it is.
pub(crate) fn shows_color(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Has everything shown whole from now on.
pub(crate) fn set_wide() {
    IS_WIDE.store(true, Ordering::Relaxed);
}

static IS_WIDE: AtomicBool = AtomicBool::new(false);

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();

/// The style of a state, a result, an outcome or a verdict.
pub(crate) fn of_word(word: &str) -> Style {
    match word.split([' ', ':']).next().unwrap_or_default() {
        "acknowledged" | "success" | "pass" | "ok" | "enabled" => GOOD,
        "pending" | "claimed" | "retry" | "partial" | "warn" => WARN,
        "dead_lettered" | "interrupted" | "failure" | "fail" | "FAIL" | "PROBLEM" | "disabled" => {
            BAD
        }
        "skipped" | "-" => DIM,
        _ => PLAIN,
    }
}
