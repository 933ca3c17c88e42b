//! `trigger`: a signed sample delivery, as HeyGen would send it.

use anyhow::Context as _;
use heygen_events::text::one_line;
use heygen_events::{Event, EventType};
use heygen_http::readable;
use heygen_testkit::{Attempt, AttemptErrorKind, EventBuilder, Sender};
use serde_json::{Value, json};

use crate::cli::Trigger;
use crate::commands::body::read;
use crate::commands::management::{self, note};
use crate::failure::{Failure, error_chain};
use crate::output::notice;
use crate::output::screen::Screen;
use crate::output::table::end;
use crate::output::{self, tame, without_query};
use crate::secrets::secret;
use crate::settings::event_name;
use crate::settings::file::File;
use crate::settings::local::Local;
use crate::settings::options::Options;
use crate::settings::receiver::{Listen, Tls};
use crate::settings::web_address::destination;

pub(super) fn run(options: &Trigger) -> Result<(), Failure> {
    let file = options.config.read()?;
    let to = match &options.to {
        Some(url) => destination("to", url)?,
        None => {
            let listen = Options::<Listen>::of_environment()?.over(&file)?;
            let tls = Options::<Tls>::of_environment()?.over(&file)?;
            Local::of(&listen, &tls)?.url()?
        }
    };
    if let Some(name) = &options.event_type {
        event_name::warn_if_mistyped(name);
    }
    let sender = sender(options, &to, &file)?;
    let fields = options
        .fields
        .iter()
        .map(|text| Field::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let event_types: Vec<EventType> = match &options.event_type {
        Some(name) => vec![EventType::from(name.as_str())],
        None => EventType::KNOWN.to_vec(),
    };
    let own_body = options.body.as_deref().map(read).transpose()?;
    let refusal = management::run(async {
        match own_body {
            Some(body) => send_body(options, &sender, body).await,
            None => send_all(options, &sender, &event_types, &fields).await,
        }
    })?;
    let Some(refusal) = refusal else {
        return Ok(());
    };
    if let Some(advice) = refusal.advice(options, &without_query(&to)) {
        note(&advice);
    }
    Err(Failure::Said)
}

/// Why a delivery was not accepted: the status, if there was an answer, and whether there was a connection.
#[derive(Clone, Copy)]
struct Refusal {
    status: Option<u16>,
    is_unreachable: bool,
}

impl Refusal {
    fn of(attempt: &Attempt) -> Option<Self> {
        let error = attempt.result.as_ref().err();
        (!attempt.accepted()).then(|| Self {
            status: attempt.status().map(|status| status.as_u16()),
            is_unreachable: error.is_some_and(|it| it.kind() == AttemptErrorKind::Connect),
        })
    }

    fn advice(self, options: &Trigger, to: &str) -> Option<String> {
        match self.status {
            None if self.is_unreachable => Some(format!(
                "{to} cannot be reached: start `serve`, or give another address with --to"
            )),
            Some(401 | 403) if !options.unsigned && !options.tamper => Some(
                "the receiver does not know this secret: give both the same HEYGEN_WEBHOOK_SECRET or --secret-file".to_owned(),
            ),
            Some(404) => Some(format!(
                "nothing is served at the path of {to}: give another with --to; that of `serve` is /webhooks/heygen unless --path changes it"
            )),
            _ => None,
        }
    }
}

fn sender(options: &Trigger, to: &str, file: &File) -> Result<Sender, Failure> {
    let sender = Sender::new(to)
        .header_name(&options.header_name)
        .duplicates(options.duplicates);
    if options.unsigned {
        return Ok(sender.unsigned());
    }
    let files = options.secrets.over(file)?.files();
    let secrets = secret::require(&files, file, ", or send with --unsigned")?;
    let first = secrets.iter().next().cloned();
    let signing = first.map_or(sender.clone(), |secret| sender.secret(secret));
    Ok(match options.tamper {
        true => signing.tampered(),
        false => signing,
    })
}

async fn send_all(
    options: &Trigger,
    sender: &Sender,
    event_types: &[EventType],
    fields: &[Field],
) -> Result<Option<Refusal>, Failure> {
    let mut refusal = None;
    for event_type in event_types {
        for _ in 0..options.count {
            let body = body(options, event_type, fields)?;
            let refused = deliver(options, sender, Some(event_type.as_str()), body).await?;
            refusal = refusal.or(refused);
        }
    }
    Ok(refusal)
}

/// Sends a body as it is, and says which event a receiver will find in it.
async fn send_body(
    options: &Trigger,
    sender: &Sender,
    body: Vec<u8>,
) -> Result<Option<Refusal>, Failure> {
    let event = Event::from_slice(&body);
    let event_type = match &event {
        Ok(event) => Some(event.event_name()),
        Err(error) => {
            let reason = error_chain(error);
            notice::warn(format!(
                "the body is not an event, and is sent as it is: {reason}"
            ));
            None
        }
    };
    deliver(options, sender, event_type, body).await
}

async fn deliver(
    options: &Trigger,
    sender: &Sender,
    event_type: Option<&str>,
    body: Vec<u8>,
) -> Result<Option<Refusal>, Failure> {
    let report = sender.deliver(body).await.map_err(Failure::of_sending)?;
    let mut refusal = None;
    for attempt in report.attempts().iter().chain(report.duplicates()) {
        output::write(line(options, event_type, attempt))?;
        refusal = refusal.or(Refusal::of(attempt));
    }
    Ok(refusal)
}

fn body(options: &Trigger, event_type: &EventType, fields: &[Field]) -> anyhow::Result<Vec<u8>> {
    let mut builder = EventBuilder::new(event_type.clone());
    if options.keep_ids {
        builder = builder.keep_ids();
    } else if !event_type.is_known() {
        // There is no sample with ids to make fresh, and the same body twice would be a duplicate.
        builder = builder.set("id", fresh_id()?);
    }
    if let Some(event_id) = &options.event_id {
        builder = builder.top("event_id", event_id.as_str());
    }
    for field in fields {
        builder = builder.set(&field.name, field.value.clone());
    }
    Ok(builder.body().to_vec())
}

fn fresh_id() -> anyhow::Result<String> {
    let id = getrandom::u64().context("the system provides no random numbers")?;
    Ok(format!("{id:016x}"))
}

fn line(options: &Trigger, event_type: Option<&str>, attempt: &Attempt) -> String {
    let millis = attempt.duration.as_secs_f64() * 1000.0;
    if options.json {
        let (status, answer, error) = match &attempt.result {
            Ok(answer) => (Some(answer.status.as_u16()), Some(answer.text()), None),
            Err(error) => (None, None, Some(error_chain(error))),
        };
        let answer = answer.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
        let line = json!({
            "event_type": event_type,
            "accepted": attempt.accepted(),
            "status": status,
            "answer": answer,
            "error": error,
            "milliseconds": (millis * 1000.0).round() / 1000.0,
        });
        return output::json_line(&line);
    }
    let outcome = match &attempt.result {
        Ok(answer) => format!("{}  {}", answer.status, in_one_line(&answer.text())),
        Err(error) => format!("no answer: {}", error_chain(error)),
    };
    let event_type = tame(event_type.unwrap_or("(not an event)"));
    let line = format!("{event_type:<44}  {millis:>7.1} ms  {outcome}");
    match Screen::stdout().width {
        Some(width) => format!("{}\n", end(&line, width)),
        None => format!("{line}\n"),
    }
}

/// An answer in one line; of a page the beginning of its text.
fn in_one_line(answer: &str) -> String {
    let text = one_line(&readable(answer));
    match answer.trim_start().starts_with('<') {
        true => end(&text, LONGEST_PAGE),
        false => text,
    }
}

const LONGEST_PAGE: usize = 200;

/// What `--set` asks for: `field=text` or `field:=json`.
#[derive(Debug, PartialEq)]
struct Field {
    name: String,
    value: Value,
}

impl Field {
    fn parse(text: &str) -> Result<Self, Failure> {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::usage(format!(
                "--set {text}: give a field and its value, as in --set msg=hello"
            ))
        })?;
        let value = match name.ends_with(':') {
            false => Value::from(value),
            true => serde_json::from_str(value).map_err(|error| {
                Failure::usage(format!(
                    "--set {text}: the value after `:=` must be JSON ({error}); for text use `=`"
                ))
            })?,
        };
        let name = name.trim_end_matches(':');
        if name.is_empty() {
            return Err(Failure::usage(format!(
                "--set {text}: the field name is empty"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Value)>) {
        let parsed = Field::parse(text)
            .ok()
            .map(|field| (field.name, field.value));
        assert_eq!(
            parsed,
            expected.map(|(name, value)| (name.to_owned(), value)),
            "{text}"
        );
    }

    #[test]
    fn texts_and_json() {
        check("msg=a=b", Some(("msg", json!("a=b"))));
        check("video_id=12", Some(("video_id", json!("12"))));
        check("video_id:=12", Some(("video_id", json!(12))));
        check("url:=null", Some(("url", Value::Null)));
        check("msg=", Some(("msg", json!(""))));
        for text in ["msg", "=x", ":=1", "msg:=hello"] {
            check(text, None);
        }
    }

    #[test]
    fn answers_are_one_line_and_pages_are_cut() {
        #[track_caller]
        fn check(answer: &str, expected: &str) {
            assert_eq!(in_one_line(answer), expected);
        }
        check(" {\"a\": \"<b>\"}\n", "{\"a\": \"<b>\"}");
        check("bad\nsignature", "bad signature");
        let page = format!("<pre>{}", "word ".repeat(100));
        assert!(in_one_line(&page).len() <= LONGEST_PAGE + "…".len());
    }
}
