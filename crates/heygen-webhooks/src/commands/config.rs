//! `config show`: the settings of `serve`, and where each comes from.

use serde_json::{Value, json};

use crate::cli::{Config, ShowConfig};
use crate::failure::Failure;
use crate::output;
use crate::output::table::Column;
use crate::process::environment;
use crate::settings::file::File;
use crate::settings::options::Options;
use crate::settings::output::Printing;
use crate::settings::setting::{Setting, Source};

pub(super) fn run(options: &Config) -> Result<(), Failure> {
    match options {
        Config::Show(options) => show(options),
    }
}

fn show(options: &ShowConfig) -> Result<(), Failure> {
    let file = options.serve.config.read()?;
    let path = file.path().map(|path| path.display().to_string());
    let settings = settings(options, &file)?;
    if options.serve.printing.given()?.json {
        let settings = settings.iter().map(|setting| {
            let (source, origin) = match &setting.source {
                Source::Flag => ("flag", Some(format!("--{}", setting.name))),
                Source::Variable(name) => ("variable", Some(name.clone())),
                Source::File => ("file", path.clone()),
                Source::Default => ("default", None),
            };
            json!({
                "name": setting.name,
                "value": setting.value,
                "source": source,
                "origin": origin,
                "default": setting.default,
            })
        });
        return Ok(output::json_array(settings)?);
    }
    let rows: Vec<_> = settings
        .iter()
        .map(|setting| {
            vec![
                setting.name.as_str().into(),
                value(setting).into(),
                source(setting, path.as_deref()).into(),
            ]
        })
        .collect();
    Ok(output::write_table(&COLUMNS, &rows)?)
}

const COLUMNS: [Column; 3] = [
    Column::new("SETTING"),
    Column::new("VALUE").cut_middle(16),
    Column::new("SOURCE").cut_end(8),
];

fn settings(options: &ShowConfig, file: &File) -> Result<Vec<Setting>, Failure> {
    let serve = &options.serve;
    // What the file says of these is set aside by `--sandbox`.
    let nothing = File::default();
    let of_heygen = if serve.sandbox { &nothing } else { file };
    let mut inbox = serve.inbox.settings(file);
    for inbox in &mut inbox {
        let is_flag = matches!(inbox.source, Source::Flag);
        let location = match serve.sandbox {
            true => serve.inbox.sandbox_location(),
            false => serve.inbox.location(file),
        };
        inbox.value = location?.to_string().into();
        if serve.sandbox && !is_flag {
            inbox.source = Source::Default;
        } else if !is_flag && environment::variable(INBOX).is_some() {
            inbox.source = Source::Variable(INBOX.to_owned());
        }
    }
    let secrets = SECRETS.into_iter().filter_map(|name| {
        environment::variable(name).map(|_| Setting {
            name: name.to_owned(),
            value: "(hidden)".into(),
            source: Source::Variable(name.to_owned()),
            default: None,
        })
    });
    let switches = [
        ("receive-only", serve.receive_only),
        ("rotate-secret", serve.rotate_secret),
        ("deregister-on-exit", serve.deregister_on_exit),
        ("sandbox", serve.sandbox),
    ];
    let switches = switches.into_iter().map(|(name, is_on)| Setting {
        name: name.to_owned(),
        value: is_on.into(),
        source: if is_on { Source::Flag } else { Source::Default },
        default: None,
    });
    let groups = [
        serve.listen.settings(file),
        inbox,
        serve.secrets.settings(file),
        serve.callbacks.settings(file),
        serve.admin.settings(file),
        serve.admin_hosts.settings(file),
        serve.dashboard.settings(file),
        // Flags say how this command prints.
        Options::<Printing>::of_environment()?.settings(file),
        serve.log.settings(file),
        serve.backfill.settings(of_heygen),
        serve.tls.settings(of_heygen),
        serve.handlers.settings(file),
        serve.forward_secret.settings(file),
        serve.retention.settings(file),
        serve.public_url.settings(of_heygen),
        serve.subscription.settings(file),
        serve.limits.settings(file),
        serve.api.settings(file),
        serve.nats_access.settings(file),
        serve.nats_streams.settings(file),
        serve.nats_promise.settings(file),
    ];
    let groups = groups.into_iter().flatten();
    Ok(groups.chain(switches).chain(secrets).collect())
}

fn value(setting: &Setting) -> String {
    let word = |value: &Value| match value {
        Value::String(text) => output::tame(text),
        value => value.to_string(),
    };
    match (&setting.value, &setting.default) {
        // Which value it is, without what else is to be said of it.
        (Value::Null, Some(default)) => default.split(';').next().unwrap_or_default().to_owned(),
        (Value::Null, None) => "-".to_owned(),
        (Value::Array(values), _) if values.is_empty() => "-".to_owned(),
        (Value::Array(values), _) => values.iter().map(word).collect::<Vec<_>>().join(" "),
        (value, _) => word(value),
    }
}

fn source(setting: &Setting, file: Option<&str>) -> String {
    match &setting.source {
        Source::Flag => format!("--{}", setting.name),
        Source::Variable(name) => name.clone(),
        Source::File => format!("`{}` in {}", setting.name, file.unwrap_or_default()),
        Source::Default => "default".to_owned(),
    }
}

const INBOX: &str = "HEYGEN_WEBHOOKS_INBOX";

/// Variables that hold a secret, and are no options.
const SECRETS: [&str; 3] = [
    "HEYGEN_WEBHOOK_SECRET",
    "HEYGEN_API_KEY",
    "HEYGEN_OAUTH_TOKEN",
];
