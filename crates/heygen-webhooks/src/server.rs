//! [`RunningServer`]: what `serve`, `work` and `dev` run, from before the inbox is opened to its closing.

use std::pin::pin;
use std::time::Duration;

use heygen_inbox::{BoxInbox, Inbox as _, InboxOpener};
use heygen_receiver::{
    ActiveSecrets, AdminPages, DispatchOptions, Dispatcher, Receiver, ReceiverOptions, Retention,
    Server,
};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::dispatch::BuiltHandler;
use crate::failure::Failure;
use crate::output::logging;
use crate::output::printer::Printer;
#[cfg(unix)]
use crate::process::notify::{self, Pulse};
use crate::process::runtime::run_on;
use crate::process::signals;
use crate::process::tasks::Tasks;
use crate::store;

pub(crate) mod admin;
mod attempt_log;
pub(crate) mod dashboard;
pub(crate) mod listen;
pub(crate) mod metrics;
pub(crate) mod sandbox;

use attempt_log::AttemptLog;

/// Runs a command on a runtime of its own, and writes what its printer still has.
pub(crate) fn block_on(
    printer: &Printer,
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    // An unread line does not keep the process: its delivery is dispatched again after the next start.
    let ended = run_on(&mut Builder::new_multi_thread(), async {
        signals::outlive_file_size_limit()?;
        command.await
    });
    printer.flush();
    ended
}

/// An inbox, and the tasks that fill it, dispatch from it and show it. They stop in this order.
pub(crate) struct RunningServer {
    inbox: BoxInbox,
    pages: AdminPages<BoxInbox>,
    receiving: Tasks,
    receive_stop_time: Duration,
    /// Whatever else runs, beside the dispatcher.
    pub(crate) working: Tasks,
    /// Announce what the dispatcher gave up, until a little after it has ended.
    announcing: Tasks,
    pub(crate) built: BuiltHandler,
    administering: Tasks,
    /// Of the dispatcher, where there is one.
    #[cfg(unix)]
    pulse: Option<Pulse>,
}

impl RunningServer {
    /// Nothing runs yet; the end of the inbox, which need not be open, ends it.
    pub(crate) fn new(inbox: BoxInbox, built: BuiltHandler, pages: AdminPages<BoxInbox>) -> Self {
        let mut working = Tasks::new();
        working.spawn_endless("inbox", inbox.closed());
        Self {
            inbox,
            pages,
            receiving: Tasks::new(),
            receive_stop_time: Duration::ZERO,
            working,
            announcing: Tasks::new(),
            built,
            administering: Tasks::new(),
            #[cfg(unix)]
            pulse: None,
        }
    }

    /// Stores what this server accepts.
    pub(crate) fn receive(
        &mut self,
        server: Server,
        secrets: &ActiveSecrets,
        options: ReceiverOptions,
    ) {
        // It cuts off connections itself, and ends a little later than that.
        self.receive_stop_time = options.limits.shutdown_timeout + Duration::from_secs(5);
        let receiver = Receiver::with(secrets.clone(), self.inbox.clone(), options);
        let receiving = server.serve(receiver, self.receiving.stopped());
        self.receiving.spawn("receiver", receiving);
    }

    pub(crate) fn dispatch(&mut self, mut options: DispatchOptions) {
        match self.built.activity.clone() {
            // One terminal shows it once.
            Some(activity) if logging::is_on_screen() => options.observers.add(activity),
            Some(activity) => {
                options.observers.add(activity);
                options.observers.add(AttemptLog);
            }
            None => options.observers.add(AttemptLog),
        }
        #[cfg(unix)]
        options
            .observers
            .add(self.pulse.insert(Pulse::new()).clone());
        if let Some(hook) = &self.built.hook {
            options.observers.add(hook.clone());
            let stopped = self.announcing.stopped();
            let announcing = hook.clone().run(self.inbox.clone(), stopped);
            self.announcing.spawn("dead-letter hook", announcing);
        }
        let handler = self.built.handler.clone();
        let dispatcher = Dispatcher::with(self.inbox.clone(), handler, options);
        let dispatching = dispatcher.run(self.working.stopped());
        self.working.spawn("dispatcher", dispatching);
    }

    pub(crate) fn prune(&mut self, retention: Retention) {
        let pruning = retention.run(self.inbox.clone(), self.working.stopped());
        self.working.spawn("retention", pruning);
    }

    /// Shows how all of it does.
    pub(crate) fn administer(&mut self, admin: &mut admin::Bound) {
        if let Some(listener) = admin.take() {
            let administering = listener.serve(self.pages.clone(), self.administering.stopped());
            self.administering.spawn("admin listener", administering);
        }
    }

    /// Tells systemd that everything runs, and from now on that it is alive, and of each reload, which ends when `reloads`
    /// changes.
    #[cfg(unix)]
    pub(crate) fn announce(
        &mut self,
        status: &str,
        hangups: watch::Receiver<u64>,
        reloads: watch::Receiver<u64>,
    ) {
        let watchdog = notify::watchdog(self.inbox.clone(), self.pulse.clone());
        // It goes on while the rest stops.
        self.administering.spawn_endless("watchdog", watchdog);
        let telling = notify::reloads(hangups, reloads);
        self.working.spawn_endless("notice of reloads", telling);
        notify::ready(status);
    }

    #[cfg(not(unix))]
    pub(crate) fn announce(&mut self, _: &str, _: watch::Receiver<u64>, _: watch::Receiver<u64>) {}

    /// Opens the inbox while what was started before already answers: HeyGen gives a probe one second, and opening may take
    /// longer. `None` when it was asked to stop meanwhile, and has.
    pub(crate) async fn open(
        mut self,
        opener: InboxOpener,
        opening: impl Future<Output = Result<BoxInbox, Failure>>,
        asked: impl Future<Output = Result<(), Failure>>,
    ) -> Result<Option<Self>, Failure> {
        let opening = async {
            let mut opening = pin!(opening);
            if let Ok(opened) = timeout(SLOW_OPENING, &mut opening).await {
                return opened;
            }
            tracing::info!("the inbox is still being opened; deliveries wait until it is");
            opening.await
        };
        let ended = tokio::select! {
            opened = opening => match opened {
                Ok(inbox) => {
                    opener.open(inbox);
                    return Ok(Some(self));
                }
                Err(failure) => Err(failure),
            },
            ended = self.wait(asked) => ended,
        };
        // Deliveries that wait for it are rejected now.
        drop(opener);
        self.end(ended).await.map(|()| None)
    }

    /// Returns when it is time to stop: when that was asked for, or a part ended by itself.
    pub(crate) async fn wait(
        &mut self,
        asked: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let ended = tokio::select! {
            asked = asked => return asked,
            ended = self.receiving.ended_early() => ended,
            ended = self.working.ended_early() => ended,
            ended = self.announcing.ended_early() => ended,
            ended = self.administering.ended_early() => ended,
        };
        self.pages.report_ended(ended.name);
        Err(ended.into())
    }

    /// Stops, whether all went well or not: accepted deliveries are answered, attempts are recorded. What was not dispatched is
    /// dispatched after the next start.
    pub(crate) async fn stop(self, ended: Result<(), Failure>) -> Result<(), Failure> {
        #[cfg(unix)]
        notify::stopping();
        self.end(ended).await
    }

    async fn end(self, ended: Result<(), Failure>) -> Result<(), Failure> {
        self.pages.begin_shutdown();
        let stopped = self.receiving.stop(self.receive_stop_time).await;
        let stopped = stopped.and(self.working.stop(WORK_STOP_TIME).await);
        let stopped = stopped.and(self.announcing.stop(ANNOUNCE_STOP_TIME).await);
        self.built.end().await;
        let closed = store::close(&self.inbox).await.map_err(Failure::from);
        let stopped = stopped.and(self.administering.stop(ADMIN_STOP_TIME).await);
        tracing::info!("stopped");
        ended.and(stopped).and(closed)
    }
}

/// Far longer than opening an inbox usually takes.
const SLOW_OPENING: Duration = Duration::from_secs(2);

/// More than the dispatcher takes, which waits for a claim and for handlers, ten seconds each.
const WORK_STOP_TIME: Duration = Duration::from_secs(30);

/// More than the hook takes, which gives its calls five seconds.
const ANNOUNCE_STOP_TIME: Duration = Duration::from_secs(10);

/// Far more than it takes.
const ADMIN_STOP_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use heygen_inbox::sqlite::SqliteInbox;
    use heygen_inbox::{NewDelivery, Source};

    use super::*;

    /// The server fails when the thread that writes the inbox ends.
    async fn check(start: impl FnOnce(&mut RunningServer)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = SqliteInbox::open(folder.path().join("inbox.db")).expect("an inbox");
        let inbox = BoxInbox::new(inbox);
        let pages = AdminPages::new(inbox.clone());
        let mut server = RunningServer::new(inbox.clone(), BuiltHandler::ignoring(), pages);
        start(&mut server);
        let waited = tokio::time::timeout(Duration::from_millis(50), server.wait(pending()));
        waited.await.expect_err("all goes well");
        inbox.close().await.expect("closed");
        let ended = tokio::time::timeout(Duration::from_secs(60), server.wait(pending()));
        let ended = ended.await.expect("it is noticed").expect_err("a failure");
        let said = ended.to_string();
        assert!(said.starts_with("the inbox ended"), "{said}");
        let stopped = server.stop(Ok(())).await.expect_err("closed already");
        let said = stopped.to_string();
        assert!(said.contains("the inbox is closed"), "{said}");
    }

    #[tokio::test]
    async fn end_of_the_writer_is_noticed() {
        check(|server| server.prune(Retention::default())).await;
        check(|server| server.dispatch(DispatchOptions::default())).await;
    }

    /// How a server ends whose inbox does not open; a delivery that waits for it is rejected.
    async fn check_opening(
        opening: impl Future<Output = Result<BoxInbox, Failure>>,
        asked: impl Future<Output = Result<(), Failure>>,
        expected: Result<(), &str>,
    ) {
        let (inbox, opener) = BoxInbox::unopened();
        let pages = AdminPages::new(inbox.clone());
        let server = RunningServer::new(inbox.clone(), BuiltHandler::ignoring(), pages);
        let waiting = tokio::spawn(async move {
            let body = r#"{"event_type":"a.b","event_data":{}}"#.into();
            let now = std::time::SystemTime::now();
            let delivery = NewDelivery::new(now, Source::Webhook, Vec::new(), body);
            inbox.append(delivery).await
        });
        let opened = server.open(opener, opening, asked);
        let opened = timeout(Duration::from_secs(60), opened).await;
        let ended = opened
            .expect("it ends")
            .map(|server| assert!(server.is_none()));
        assert_eq!(
            ended.map_err(|failure| failure.to_string()),
            expected.map_err(str::to_owned)
        );
        waiting.await.expect("it ends").expect_err("rejected");
    }

    #[tokio::test]
    async fn server_ends_when_its_inbox_cannot_be_opened_or_it_is_to_stop() {
        let refused = async { Err(anyhow::anyhow!("no such disk").into()) };
        check_opening(refused, pending(), Err("no such disk")).await;
        check_opening(pending(), async { Ok(()) }, Ok(())).await;
    }
}
