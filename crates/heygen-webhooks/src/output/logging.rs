//! The log on standard error. It never holds anything up: see [`LineSink`].

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use heygen_events::text::is_unsafe_to_show;
use heygen_receiver::handlers::LineSink;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{self, FormatTime};

use crate::failure::Failure;
use crate::output::escaped;
use crate::output::notice;
use crate::output::screen;
use crate::output::stderr;
use crate::settings::origin;
use crate::settings::output::{Log, LogFormat};
use crate::settings::when;

/// Starts logging for the rest of the process.
pub(crate) fn start(options: &Log) -> Result<(), Failure> {
    let format = options.log_format.unwrap_or_default();
    // What the client of NATS says of its connections, the inbox says too.
    let text = options.log.as_deref().unwrap_or("info,async_nats=off");
    let filter = filter(text).map_err(|error| {
        let option = origin::name("log");
        Failure::usage(format!(
            "{option}: `{text}` is not a log filter ({error}): try error, warn, info or debug"
        ))
    })?;
    let lines = stderr::lines()?;
    let clock = Clock::of(format);
    let builder = tracing_subscriber::fmt()
        .with_timer(clock)
        .with_env_filter(filter)
        .with_writer(move || Event {
            to: lines,
            is_json: format == LogFormat::Json,
        })
        .with_ansi(screen::shows_color(&io::stderr()))
        .with_target(false)
        // It would print what went wrong on standard error, and wait for that.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    // The hook that is there by default waits for standard error too.
    panic::set_hook(Box::new(log_panic));
    let is_usual =
        format == LogFormat::Text && options.log.as_deref().is_none_or(|it| it == "info");
    IS_ON_SCREEN.store(is_usual && io::stderr().is_terminal(), Ordering::Relaxed);
    notice::to_log();
    Ok(())
}

/// Reads a filter. A word that is no level is to [`EnvFilter`] a part of the program, whose lines alone are logged: with a level that
/// was mistyped, none at all.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let words = text.split(',').map(str::trim);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let is_name = |word: &&&str| !word.contains(['=', '[']) && !is_level(word);
    match words.iter().find(is_name) {
        Some(word) => Err(format!("`{word}` is no level")),
        None if words.is_empty() => Err("it is empty".to_owned()),
        None => EnvFilter::try_new(text).map_err(|error| error.to_string()),
    }
}

/// Whether the log is the usual one on a terminal: one that was configured has to be complete, wherever it goes.
pub(crate) fn is_on_screen() -> bool {
    IS_ON_SCREEN.load(Ordering::Relaxed)
}

static IS_ON_SCREEN: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Copy)]
enum Clock {
    /// As all that is shown on a terminal.
    Local,
    /// As all that programs read.
    Utc,
}

impl Clock {
    fn of(format: LogFormat) -> Self {
        match format == LogFormat::Text && io::stderr().is_terminal() {
            true => {
                // What is wrong with the zone is said before there is a log, not in a line of it.
                when::zone();
                Self::Local
            }
            false => Self::Utc,
        }
    }
}

impl FormatTime for Clock {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        match self {
            Self::Local => to.write_str(&when::short(SystemTime::now())),
            Self::Utc => time::SystemTime.format_time(to),
        }
    }
}

/// An event, which is written whole.
struct Event {
    to: &'static LineSink,
    is_json: bool,
}

impl Write for Event {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.to.offer(safe(line, self.is_json));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line without what is [unsafe to show](is_unsafe_to_show): fields and messages hold names, headers, answers and handlers'
/// output. The subscriber escapes ASCII controls itself, and writes some for its colours.
fn safe(line: &[u8], is_json: bool) -> Cow<'_, [u8]> {
    let text = String::from_utf8_lossy(line);
    let is_unsafe = |c: char| !c.is_ascii() && is_unsafe_to_show(c);
    match (text.contains(is_unsafe), is_json) {
        (false, _) => Cow::Borrowed(line),
        (true, true) => Cow::Owned(escaped(&text).into()),
        (true, false) => Cow::Owned(text.replace(is_unsafe, "\u{fffd}").into()),
    }
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = info.location().map(ToString::to_string);
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message");
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    tracing::error!(
        thread = thread.name(),
        location,
        backtrace = backtrace.map(tracing::field::display),
        "panicked: {message}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, is_json: bool, expected: &str) {
        let safe = safe(line.as_bytes(), is_json);
        assert_eq!(std::str::from_utf8(&safe).expect("text"), expected);
    }

    #[test]
    fn filter_that_would_silence_the_log_is_refused() {
        for text in [
            "warning",
            "INF",
            "heygen_receiver",
            "debug,hyper",
            "",
            " ",
            ",",
        ] {
            assert!(filter(text).is_err(), "{text}");
        }
        for text in [
            "info",
            "WARN",
            "off",
            "3",
            "info,",
            "info,heygen_receiver=debug",
            "info,[claim{id}]",
        ] {
            assert!(filter(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nothing_in_a_line_steers_hides_or_reorders() {
        check(
            "\u{1b}[33mWARN\u{1b}[0m é\n",
            false,
            "\u{1b}[33mWARN\u{1b}[0m é\n",
        );
        check(
            "a\u{9b}31m\u{202e}b\u{2028}\n",
            false,
            "a\u{fffd}31m\u{fffd}b\u{fffd}\n",
        );
        check("{\"a\":\"\u{202e}é\"}\n", true, "{\"a\":\"\\u202eé\"}\n");
    }
}
