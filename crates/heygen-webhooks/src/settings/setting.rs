//! [`Setting`]: the value of one option, and where it comes from.

use clap::{Arg, ArgAction};
use serde_json::Value;

use crate::output::without_query;

#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// As it was written, without what gives access; `null` where the default is no value.
    pub(crate) value: Value,
    pub(crate) source: Source,
    /// What the help says is in force where nothing is given.
    pub(crate) default: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Source {
    Flag,
    Variable(String),
    File,
    Default,
}

impl Setting {
    pub(crate) fn new(arg: &Arg, given: Option<(Value, Source)>) -> Self {
        let name = arg.get_long().unwrap_or_default().to_owned();
        let default = default_of(arg);
        let (value, source) = given.unwrap_or_else(|| {
            let literal = default.as_ref().filter(|text| !text.contains(' '));
            let value = match literal {
                Some(text) => typed(arg, text),
                None if matches!(arg.get_action(), ArgAction::SetTrue) => Value::Bool(false),
                None => Value::Null,
            };
            (value, Source::Default)
        });
        Self {
            value: without_access(&name, value),
            name,
            source,
            default,
        }
    }
}

/// The value of an option as it was written on the command line or in a variable.
pub(crate) fn written(arg: &Arg, texts: &[String]) -> Value {
    match (arg.get_action(), texts) {
        (ArgAction::Set, [text]) => typed(arg, text),
        _ => texts.iter().map(|text| typed(arg, text)).collect(),
    }
}

/// A number where the option takes one.
fn typed(arg: &Arg, text: &str) -> Value {
    let names = arg.get_value_names().unwrap_or_default();
    let is_number = names.iter().any(|name| NUMBERS.contains(&name.as_str()));
    let number = text.parse::<serde_json::Number>().ok();
    match number.filter(|_| is_number) {
        Some(number) => Value::Number(number),
        None => Value::from(text),
    }
}

/// What stands in `[default: …]` of its help.
fn default_of(arg: &Arg) -> Option<String> {
    let help = arg.get_help()?.to_string();
    let (_, default) = help.split_once("[default: ")?;
    let (default, _) = default.split_once(']')?;
    Some(default.trim_matches('`').to_owned())
}

/// Queries, users and passwords of addresses, and the arguments of programs, may be secrets.
fn without_access(name: &str, value: Value) -> Value {
    match (name, value) {
        ("exec", Value::Array(command)) if command.len() > 1 => command
            .into_iter()
            .take(1)
            .chain([Value::from("…")])
            .collect(),
        (_, Value::Array(values)) => {
            let values = values.into_iter();
            values.map(|value| without_access(name, value)).collect()
        }
        (_, Value::Object(fields)) => {
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| (name.clone(), without_access(&name, value)));
            Value::Object(fields.collect())
        }
        ("on-dead-letter", Value::String(action)) => action_without_access(&action).into(),
        ("on", Value::String(rule)) => match rule.split_once('=') {
            Some((pattern, action)) => {
                format!("{pattern}={}", action_without_access(action)).into()
            }
            None => rule.into(),
        },
        (name, Value::String(text)) if ADDRESSES.contains(&name) || text.contains("://") => {
            address_without_access(&text).into()
        }
        (_, value) => value,
    }
}

fn action_without_access(action: &str) -> String {
    match action.split_once(':') {
        Some(("exec", command)) => {
            let mut words = command.split_whitespace();
            let program = words.next().unwrap_or_default();
            let rest = words.next().map_or("", |_| " …");
            format!("exec:{program}{rest}")
        }
        Some(("forward", address)) => format!("forward:{}", address_without_access(address)),
        _ => action.to_owned(),
    }
}

/// An address may be given without its scheme, and a wrong one is shown too.
fn address_without_access(address: &str) -> String {
    match address.contains("://") {
        true => without_query(address),
        false => without_query(&format!("://{}", address.trim_start_matches('/')))
            .trim_start_matches("://")
            .to_owned(),
    }
}

const ADDRESSES: [&str; 4] = ["forward", "base-url", "public-url", "nats-monitor"];

/// What the help calls values that are numbers.
const NUMBERS: [&str; 3] = ["BYTES", "COUNT", "SECONDS"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn default_of_the_help_is_shown_without_its_markup() {
        let arg = Arg::new("a").help("Address [default: `https://a.example`]");
        let setting = Setting::new(&arg, None);
        assert_eq!(setting.value, json!("https://a.example"));
    }

    #[test]
    fn values_that_grant_access_are_hidden() {
        #[track_caller]
        fn check(name: &str, value: Value, expected: &Value) {
            assert_eq!(without_access(name, value), *expected);
        }
        check(
            "forward",
            json!("http://u:p@a.example/x?k=1"),
            &json!("http://a.example/x?…"),
        );
        check("exec", json!(["./a", "--token", "t"]), &json!(["./a", "…"]));
        check(
            "on",
            json!(["*=exec:./a --token t"]),
            &json!(["*=exec:./a …"]),
        );
        check(
            "on",
            json!(["*=forward:http://u:p@a/?k"]),
            &json!(["*=forward:http://a/?…"]),
        );
        check(
            "on",
            json!([{"event": "*", "exec": ["./a", "t"]}, {"event": "*", "forward": "http://u@a"}]),
            &json!([{"event": "*", "exec": ["./a", "…"]}, {"event": "*", "forward": "http://a"}]),
        );
        check(
            "on-dead-letter",
            json!("forward:https://u:p@a/?k"),
            &json!("forward:https://a/?…"),
        );
        check("on-dead-letter", json!("exec:./a t"), &json!("exec:./a …"));
        check("path", json!("/a"), &json!("/a"));
        check("forward", json!("u:p@a/x?k=1"), &json!("a/x?…"));
        check("nats-monitor", json!(["u:p@a:8222"]), &json!(["a:8222"]));
        check("public-url", json!("//u:p@a/"), &json!("a/"));
        check(
            "on",
            json!(["*=exec: ./a\t--token\tt", "a.*=print"]),
            &json!(["*=exec:./a …", "a.*=print"]),
        );
        check(
            "on",
            json!(["*=forward:u:p@a?k"]),
            &json!(["*=forward:a?…"]),
        );
    }
}
