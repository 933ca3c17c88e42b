//! [`Rule`] and [`Action`]: which events go where, as written on the command line and in the file.

use std::str::FromStr;

use heygen_receiver::handlers::Pattern;
use serde::Deserialize;

use crate::output;

/// Events whose name fits go here.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "InFile")]
pub(crate) struct Rule {
    pub(crate) pattern: Pattern,
    pub(crate) action: Action,
}

#[derive(Clone, Eq, PartialEq)]
pub(crate) enum Action {
    Print,
    Forward(String),
    Exec(Vec<String>),
    /// Nothing: it is done as it is.
    Ignore,
}

/// `PATTERN=ACTION`
impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pattern, action) = text
            .split_once('=')
            .ok_or_else(|| format!("`{}` is not a rule: {FORM}", hidden(text)))?;
        Ok(Self {
            pattern: pattern
                .parse()
                .map_err(|error| format!("`{pattern}`: {error}"))?,
            action: action.parse()?,
        })
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "print" => Ok(Self::Print),
            None if text == "ignore" => Ok(Self::Ignore),
            Some(("forward", url)) if !url.is_empty() => Ok(Self::Forward(url.to_owned())),
            Some(("exec", command)) if !command.trim().is_empty() => Ok(Self::Exec(
                command.split_whitespace().map(str::to_owned).collect(),
            )),
            _ => Err(format!("`{}` is not an action: {FORM}", hidden(text))),
        }
    }
}

/// Addresses may hold a password.
impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Print => f.write_str("Print"),
            Self::Forward(url) => f.debug_tuple("Forward").field(&hidden(url)).finish(),
            Self::Exec(command) => f.debug_tuple("Exec").field(&command.first()).finish(),
            Self::Ignore => f.write_str("Ignore"),
        }
    }
}

/// A rule in the configuration file: `event`, and one of the others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    event: String,
    #[serde(default)]
    print: bool,
    forward: Option<String>,
    exec: Option<Vec<String>>,
    #[serde(default)]
    ignore: bool,
}

impl TryFrom<InFile> for Rule {
    type Error = String;

    fn try_from(rule: InFile) -> Result<Self, String> {
        let pattern: Pattern = rule
            .event
            .parse()
            .map_err(|error| format!("event `{}`: {error}", rule.event))?;
        let given = [
            rule.print.then_some(Action::Print),
            rule.forward.map(Action::Forward),
            rule.exec.map(Action::Exec),
            rule.ignore.then_some(Action::Ignore),
        ];
        let mut given = given.into_iter().flatten();
        let one_of = "one of forward = \"URL\", exec = [\"program\", \"argument\"], print = true, ignore = true";
        match (given.next(), given.next()) {
            (Some(Action::Exec(command)), None) if command.is_empty() => {
                Err(format!("rule for `{}`: exec needs a program", rule.event))
            }
            (Some(action), None) => Ok(Self { pattern, action }),
            _ => Err(format!("rule for `{}`: give {one_of}", rule.event)),
        }
    }
}

fn hidden(text: &str) -> String {
    output::without_query(text)
}

const FORM: &str =
    "give PATTERN=forward:URL, PATTERN=exec:PROGRAM ARGUMENTS, PATTERN=print or PATTERN=ignore";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&Action>) {
        let rule = text.parse::<Rule>().ok();
        assert_eq!(rule.map(|rule| rule.action).as_ref(), expected, "{text}");
    }

    #[test]
    fn rules_on_the_command_line() {
        let exec = |words: &[&str]| Action::Exec(words.iter().map(ToString::to_string).collect());
        check("avatar_video.*=print", Some(&Action::Print));
        check(
            "*=forward:http://localhost:3000/hook?a=b",
            Some(&Action::Forward(
                "http://localhost:3000/hook?a=b".to_owned(),
            )),
        );
        check(
            "*.fail=exec:/bin/notify  --loud x=y",
            Some(&exec(&["/bin/notify", "--loud", "x=y"])),
        );
        check("live_avatar.*=ignore", Some(&Action::Ignore));
        for text in [
            "",
            "print",
            "x=",
            "x=forward:",
            "x=exec: ",
            "x=mail:me",
            "=print",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn rules_in_the_file() {
        let read = |text: &str| toml::from_str::<Rule>(text).map(|rule| rule.action);
        assert_eq!(
            read("event = \"*.fail\"\nexec = [\"/bin/notify\", \"two words\"]").ok(),
            Some(Action::Exec(vec![
                "/bin/notify".to_owned(),
                "two words".to_owned()
            ]))
        );
        assert_eq!(
            read("event = \"*\"\nignore = true").ok(),
            Some(Action::Ignore)
        );
        for text in [
            "event = \"*\"",
            "event = \"*\"\nprint = true\nforward = \"http://a\"",
            "event = \"*\"\nexec = []",
            "forward = \"http://a\"",
            "event = \"*\"\nmail = \"me\"",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
