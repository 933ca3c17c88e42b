//! [`DispatchConfig`]: where deliveries go, put together from flags, environment and file.

use std::net::ToSocketAddrs as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use heygen_inbox::{ClaimedDelivery, DispatchOrder, NewDelivery, Source, StoredDelivery};
use heygen_receiver::handlers::{BoxHandler, Command, Forward, ForwardOptions, Rules};
use heygen_receiver::{
    ActiveSecrets, DeadLetterHook, DeadLetterHookOptions, Delivery, DispatchOptions, Disposition,
    Handler as _,
};
use heygen_signature::Secret;
use reqwest::Url;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::output::activity::{Activity, Shown};
use crate::output::notice;
use crate::output::printer::Printer;
use crate::output::{tame, without_query};
use crate::process::descriptors;
use crate::process::program;
use crate::secrets::forward_secret::ForwardSecret;
use crate::settings::event_name;
use crate::settings::handlers::{ForwardSecretFile, Handlers};
use crate::settings::origin;
use crate::settings::rule::{Action, Rule};
use crate::settings::span::{Span, seconds};
use crate::settings::web_address::{destination, http_url};
use crate::store::location::InboxLocation;

mod forwarding;

use self::forwarding::Forwarding;

#[derive(Debug)]
pub(crate) struct DispatchConfig {
    pub(crate) options: DispatchOptions,
    rules: Vec<Rule>,
    /// What no rule takes.
    otherwise: Action,
    /// What is done beside that when a delivery is dead-lettered.
    on_dead_letter: Option<Action>,
    forward_secret_file: Option<PathBuf>,
    forwarding: Forwarding,
    /// How long an attempt may take, if it was given.
    handler_timeout: Option<Duration>,
}

pub(crate) type Hook = DeadLetterHook<BoxHandler>;

/// The handler, and the programs it may have running when it is let go.
pub(crate) struct BuiltHandler {
    pub(crate) handler: BoxHandler,
    programs: Vec<Command>,
    pub(crate) hook: Option<Hook>,
    /// What is forwarded is signed with this; `None` where nothing is.
    forward_secret: Option<ForwardSecret>,
    receivers: ActiveSecrets,
    forwarding: Forwarding,
    /// Where attempts are shown, if anyone looks.
    pub(crate) activity: Option<Activity>,
}

/// Sends one delivery at a time to addresses that someone names on the dashboard.
pub(crate) struct SendOnce {
    forwarding: Forwarding,
    /// `None` if nothing is forwarded, and so nothing signed.
    secrets: Option<ActiveSecrets>,
    receivers: ActiveSecrets,
}

impl SendOnce {
    async fn send(&self, stored: StoredDelivery, url: &str) -> Result<String, String> {
        let url = http_url("forward", url).map_err(|_| {
            "That is no address to send to: give one such as http://localhost:3000/heygen."
                .to_owned()
        })?;
        let mut options = ForwardOptions::default();
        self.forwarding.set(&mut options);
        // A worker may know none of the receiver's secrets, and then any may be one of them.
        let receivers = Some(&self.receivers).filter(|receivers| receivers.get().is_some());
        options.receiver_secrets = receivers.cloned().filter(|_| self.secrets.is_some());
        // The listener has ten seconds for the whole answer.
        options.timeout = SEND_TIMEOUT;
        let summary = &stored.summary;
        let (id, attempt) = (summary.id, summary.attempts + 1);
        let (at, source) = (summary.received_at, summary.source);
        let (secrets, source) = match &self.secrets {
            Some(secrets) => (secrets.clone(), source),
            // Never with the receiver's, which would make of any body one of HeyGen's: an import is not signed.
            None => (unused_secret()?, Source::Import),
        };
        let forward = Forward::with(url.as_str(), secrets, options)
            .map_err(|error| format!("It cannot be sent there: {error}."))?;
        let delivery = NewDelivery::new(at, source, stored.headers, stored.body);
        let claimed = ClaimedDelivery::new(id, &delivery, attempt);
        let answer = match forward.handle(Delivery::from(claimed)).await {
            Disposition::Ack => Ok("The application acknowledged it.".to_owned()),
            Disposition::AckWithNote { note } => {
                Ok(format!("The application acknowledged it: {note}"))
            }
            Disposition::Retry { reason, .. }
            | Disposition::Pause { reason, .. }
            | Disposition::DeadLetter { reason } => Err(format!("Not acknowledged: {reason}")),
            _ => Err("Not acknowledged.".to_owned()),
        };
        let with_note = |text| match self.secrets {
            Some(_) => text,
            None => {
                format!("{text} (sent without a signature, as nothing is forwarded here)")
            }
        };
        answer.map(with_note).map_err(with_note)
    }
}

/// [`Forward`] waits for one, also where it does not sign.
fn unused_secret() -> Result<ActiveSecrets, String> {
    let secret = Secret::new("signs nothing").map_err(|error| error.to_string())?;
    Ok(ActiveSecrets::from(secret))
}

impl heygen_dashboard::Sender for SendOnce {
    fn send(
        &self,
        delivery: StoredDelivery,
        url: String,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        Box::pin(async move { Self::send(self, delivery, &url).await })
    }
}

impl DispatchConfig {
    pub(crate) fn of(handlers: Handlers, secret: ForwardSecretFile) -> Result<Self, Failure> {
        let handler_timeout = handlers.handler_timeout;
        let handler_timeout = handler_timeout
            .map(|given| seconds("handler-timeout", given, None))
            .transpose()?;
        Ok(Self {
            handler_timeout,
            options: dispatch_options(&handlers, handler_timeout)?,
            forwarding: Forwarding::of(&handlers)?,
            otherwise: action(handlers.forward, handlers.exec, handlers.print)?,
            on_dead_letter: handlers
                .on_dead_letter
                .as_deref()
                .map(announcement)
                .transpose()?,
            rules: handlers.on,
            forward_secret_file: secret.forward_secret_file,
        })
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.options.order == DispatchOrder::PerSubject
    }

    /// What becomes of which deliveries, in words.
    pub(crate) fn described(&self) -> Result<String, Failure> {
        let rules = self
            .rules
            .iter()
            .map(|rule| (rule.pattern.as_str(), &rule.action));
        let otherwise = match self.rules.is_empty() {
            true => "every delivery",
            false => "any other",
        };
        let dead = self.on_dead_letter.iter();
        let dead = dead.map(|action| ("dead-lettered", action));
        let parts = rules
            .chain([(otherwise, &self.otherwise)])
            .chain(dead)
            .map(|(what, action)| Ok(format!("{}: {}", tame(what), described(action)?)));
        Ok(parts.collect::<Result<Vec<_>, Failure>>()?.join("; "))
    }

    /// Every action, with the option that asks for it.
    fn actions(&self) -> impl Iterator<Item = (&Action, &'static str)> {
        let rules = self.rules.iter().map(|rule| (&rule.action, "on"));
        let otherwise = match &self.otherwise {
            Action::Exec(_) => "exec",
            _ => "forward",
        };
        let hook = self.on_dead_letter.iter();
        let hook = hook.map(|action| (action, "on-dead-letter"));
        rules.chain([(&self.otherwise, otherwise)]).chain(hook)
    }

    fn forwards(&self) -> bool {
        let mut actions = self.actions();
        actions.any(|(action, _)| matches!(action, Action::Forward(_)))
    }

    /// What forwarded deliveries of this inbox are signed with; `None` where none are forwarded.
    pub(crate) fn forward_secret(
        &self,
        inbox: &InboxLocation,
    ) -> Result<Option<ForwardSecret>, Failure> {
        match self.forwards() {
            true => {
                let secret = ForwardSecret::of(self.forward_secret_file.as_deref(), inbox)?;
                // Report a wrong file before anything is started.
                secret.read()?;
                Ok(Some(secret))
            }
            false => Ok(None),
        }
    }

    /// `receivers` are the secrets that deliveries are verified with: what HeyGen did not sign is signed with none of them.
    pub(crate) fn build(
        &self,
        printer: &Printer,
        forward_secret: Option<ForwardSecret>,
        receivers: &ActiveSecrets,
    ) -> Result<BuiltHandler, Failure> {
        let mut programs = Vec::new();
        let mut build = |action: &Action,
                         timeout: Duration,
                         activity: Option<Activity>|
         -> Result<BoxHandler, Failure> {
            let (handler, done) = match action {
                // Its line is the one about the delivery.
                Action::Print => return Ok(BoxHandler::new(printer.clone())),
                Action::Ignore => (BoxHandler::new(async |_: Delivery| {}), "ignored"),
                Action::Forward(url) => {
                    let secret = forward_secret.as_ref();
                    let mut options = ForwardOptions::default();
                    self.forwarding.set(&mut options);
                    options.timeout = timeout;
                    let forward = forward(url, secret, receivers, options)?;
                    (BoxHandler::new(forward), "done")
                }
                Action::Exec(command) => {
                    let program = program(command, timeout)?;
                    programs.push(program.clone());
                    (BoxHandler::new(program), "exit 0")
                }
            };
            Ok(match activity {
                Some(activity) => BoxHandler::new(Shown::new(handler, activity, done)),
                None => handler,
            })
        };
        let mut rules = Rules::new();
        let timeout = self.handler_timeout.unwrap_or(HANDLER_TIMEOUT);
        for rule in &self.rules {
            rules = rules.on(
                rule.pattern.clone(),
                build(&rule.action, timeout, printer.activity())?,
            );
        }
        let handler =
            BoxHandler::new(rules.otherwise(build(&self.otherwise, timeout, printer.activity())?));
        let hook = match &self.on_dead_letter {
            Some(action) => Some(DeadLetterHook::with(
                // Not shown: its success would look like that of the delivery.
                build(action, HOOK_TIMEOUT, None)?,
                DeadLetterHookOptions::default().with_timeout(HOOK_TIMEOUT + TO_END),
            )),
            None => None,
        };
        Ok(BuiltHandler {
            handler,
            programs,
            hook,
            forward_secret,
            receivers: receivers.clone(),
            forwarding: self.forwarding.clone(),
            activity: printer.activity(),
        })
    }

    /// Rejects programs that cannot be started and wrong addresses before anything is started. A host that
    /// is not known now may be later.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for rule in &self.rules {
            event_name::warn_if_mistyped(rule.pattern.as_str());
        }
        for (action, option) in self.actions() {
            match action {
                Action::Forward(url) => {
                    let url = destination(option, url)?;
                    if !self.forwarding.is_proxied() {
                        warn_of_unknown_host(&http_url(option, &url)?, option);
                    }
                }
                Action::Exec(command) => {
                    let program = command.first().map_or("", String::as_str);
                    program::check(program).map_err(|problem| {
                        let option = origin::name(option);
                        // As of a variable of the shell that is not set.
                        let problem = match program.is_empty() {
                            true => "the program has no name".to_owned(),
                            false => format!("{} {problem}", tame(program)),
                        };
                        Failure::usage(format!("{option}: {problem}"))
                    })?;
                }
                Action::Print | Action::Ignore => {}
            }
        }
        Ok(())
    }
}

/// Asks in a thread of its own: a name server that hangs holds up nothing.
fn warn_of_unknown_host(url: &Url, option: &str) {
    let (Some(host), Some(port)) = (url.domain(), url.port_or_known_default()) else {
        return;
    };
    let (host, option) = (host.to_owned(), origin::name(option));
    std::thread::spawn(move || {
        if let Err(error) = (host.as_str(), port).to_socket_addrs() {
            notice::warn(format!(
                "{option}: host {host} not found ({error}); deliveries are retried until it is"
            ));
        }
    });
}

impl BuiltHandler {
    /// Acknowledges everything.
    #[cfg(test)]
    pub(crate) fn ignoring() -> Self {
        Self {
            handler: BoxHandler::new(async |_: Delivery| {}),
            programs: Vec::new(),
            hook: None,
            forward_secret: None,
            receivers: ActiveSecrets::none(),
            forwarding: Forwarding::default(),
            activity: None,
        }
    }

    /// Sends a delivery to an address that someone names, signed as forwards are, or not at all.
    pub(crate) fn sender(&self) -> SendOnce {
        let secret = self.forward_secret.as_ref();
        SendOnce {
            forwarding: self.forwarding.clone(),
            secrets: secret.map(|secret| secret.active.clone()),
            receivers: self.receivers.clone(),
        }
    }

    pub(crate) fn programs(&self) -> Vec<Command> {
        self.programs.clone()
    }

    /// Brings into force what is signed with, and makes it where it was not made yet: before the inbox is opened, so that a start
    /// that fails leaves none.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        match &self.forward_secret {
            Some(secret) => secret.begin(&self.receivers),
            None => Ok(()),
        }
    }

    /// Logs where it is: once there is something to stop.
    pub(crate) fn tell(&self) {
        if let Some(secret) = &self.forward_secret {
            tracing::info!("forwarded deliveries are signed with {}", secret.hint());
        }
    }

    /// Reads what is signed with again each time the receiver's secrets were, on SIGHUP.
    pub(crate) fn keep_fresh(
        &self,
        reloads: watch::Receiver<u64>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (secret, receivers) = (self.forward_secret.clone(), self.receivers.clone());
        async move {
            match secret {
                Some(secret) => secret.keep_fresh(receivers, reloads).await,
                // A task that ended early would end the process.
                None => std::future::pending().await,
            }
        }
    }

    /// After the dispatcher has ended: what ignores being asked may outlive us otherwise.
    pub(crate) async fn end(self) {
        let ended = async {
            for program in &self.programs {
                program.all_ended().await;
            }
        };
        if tokio::time::timeout(PROGRAMS_END, ended).await.is_err() {
            tracing::warn!("handler programs are still running");
        }
    }
}

fn dispatch_options(
    handlers: &Handlers,
    handler_timeout: Option<Duration>,
) -> Result<DispatchOptions, Failure> {
    let mut options = DispatchOptions::default();
    if handlers.ordered {
        options.order = DispatchOrder::PerSubject;
    }
    match handlers.concurrency {
        Some(0) => return Err(Failure::usage("concurrency must be at least 1")),
        Some(concurrency) => options.concurrency = concurrency,
        None => {}
    }
    match handlers.retry_max_attempts {
        Some(0) => return Err(Failure::usage("retry-max-attempts must be at least 1")),
        Some(attempts) => options.schedule.max_attempts = attempts,
        None => {}
    }
    if let Some(given) = handlers.retry_initial_delay {
        options.schedule.initial_delay = seconds("retry-initial-delay", given, None)?;
    }
    if let Some(given) = handlers.retry_max_delay {
        options.schedule.max_delay = seconds("retry-max-delay", given, None)?;
    }
    if let Some(Span(time)) = handlers.retry_max_elapsed {
        options.schedule.max_elapsed = time;
    }
    // The handlers keep to the time themselves, and tell more about it; a program takes up to two seconds to end.
    options.handler_timeout = handler_timeout
        .unwrap_or(HANDLER_TIMEOUT)
        .saturating_add(TO_END);
    Ok(options)
}

fn forward(
    url: &str,
    secret: Option<&ForwardSecret>,
    receivers: &ActiveSecrets,
    mut options: ForwardOptions,
) -> Result<Forward, Failure> {
    options.receiver_secrets = Some(receivers.clone());
    options.secret_hint = secret.map(ForwardSecret::hint);
    let secrets = secret.map_or_else(ActiveSecrets::none, |secret| secret.active.clone());
    let url = &destination("forward", url)?;
    Forward::with(url, secrets, options)
        .with_context(|| format!("cannot forward to {}", without_query(url)))
        .map_err(|error| Failure::usage(format!("{error:#}")))
}

fn described(action: &Action) -> Result<String, Failure> {
    Ok(match action {
        Action::Print => "print a line".to_owned(),
        Action::Ignore => "ignore".to_owned(),
        Action::Forward(url) => {
            let url = destination("forward", url)?;
            format!("POST to {}", tame(&without_query(&url)))
        }
        Action::Exec(command) => {
            format!("run {}", tame(command.first().map_or("", String::as_str)))
        }
    })
}

fn program(command: &[String], timeout: Duration) -> Result<Command, Failure> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::usage("exec needs a program"))?;
    let command = Command::new(program).args(arguments).timeout(timeout);
    Ok(match descriptors::before() {
        Some(soft_limit) => command.descriptors(soft_limit),
        None => command,
    })
}

/// What is to be done with what no rule takes.
fn action(forward: Option<String>, exec: Vec<String>, print: bool) -> Result<Action, Failure> {
    match (forward, exec.is_empty(), print) {
        (None, true, _) => Ok(Action::Print),
        (Some(url), true, false) => Ok(Action::Forward(url)),
        (None, false, false) => Ok(Action::Exec(exec)),
        _ => Err(Failure::usage(
            "give only one of forward, exec and print; use rules (--on) to treat events differently",
        )),
    }
}

fn announcement(text: &str) -> Result<Action, Failure> {
    match text.parse() {
        Ok(action @ (Action::Forward(_) | Action::Exec(_))) => Ok(action),
        Ok(Action::Print | Action::Ignore) | Err(_) => Err(Failure::usage(format!(
            "{}: `{}` is not an action: give forward:URL or exec:PROGRAM ARGUMENTS",
            origin::name("on-dead-letter"),
            without_query(text)
        ))),
    }
}

const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

const HANDLER_TIMEOUT: Duration = Duration::from_secs(60);

const TO_END: Duration = Duration::from_secs(3);

const PROGRAMS_END: Duration = Duration::from_secs(3);
/// Less than the admin listener gives a request.
const SEND_TIMEOUT: Duration = Duration::from_secs(8);
