//! [`RunningServer`]: what `serve`, `work` and `dev` run, from the opened inbox to its closing.

use std::time::Duration;

use heygen_inbox::{BoxInbox, Inbox as _};
use heygen_receiver::{
    ActiveSecrets, AdminPages, DispatchOptions, Dispatcher, Receiver, ReceiverOptions, Retention,
    Server,
};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::dispatch::BuiltHandler;
use crate::failure::Failure;
use crate::output::logging;
use crate::output::printer::Printer;
#[cfg(unix)]
use crate::process::notify::{self, Pulse};
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
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        signals::outlive_file_size_limit()?;
        command.await
    });
    // An unread line must not keep the process: its delivery is dispatched again after the next start.
    runtime.shutdown_background();
    printer.flush();
    ended
}

/// An open inbox, and the tasks that fill it, dispatch from it and show it. They stop in this order.
pub(crate) struct RunningServer {
    inbox: BoxInbox,
    pages: AdminPages<BoxInbox>,
    receiving: Tasks,
    receive_stop_time: Duration,
    /// Whatever else runs, beside the dispatcher.
    pub(crate) working: Tasks,
    /// Announce what the dispatcher gave up, until a little after it has ended.
    announcing: Tasks,
    built: BuiltHandler,
    administering: Tasks,
    /// Of the dispatcher, where there is one.
    #[cfg(unix)]
    pulse: Option<Pulse>,
}

impl RunningServer {
    /// Nothing runs yet; the end of the inbox ends it.
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
    pub(crate) fn administer(&mut self, listener: admin::Bound) {
        if let Ok(Some(admin)) = listener.0 {
            let administering = admin.serve(self.pages.clone(), self.administering.stopped());
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
        self.pages.begin_shutdown();
        #[cfg(unix)]
        notify::stopping();
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

/// More than the dispatcher takes, which waits for a claim and for handlers, ten seconds each.
const WORK_STOP_TIME: Duration = Duration::from_secs(30);

/// More than the hook takes, which gives its calls five seconds.
const ANNOUNCE_STOP_TIME: Duration = Duration::from_secs(10);

/// Far more than it takes.
const ADMIN_STOP_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use heygen_inbox::sqlite::SqliteInbox;

    use super::*;

    /// The server fails when the thread that writes the inbox ends.
    async fn check(start: impl FnOnce(&mut RunningServer)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = SqliteInbox::open(folder.path().join("inbox.db")).expect("an inbox");
        let inbox = BoxInbox::new(inbox);
        let pages = AdminPages::new(inbox.clone());
        let mut server = RunningServer::new(inbox.clone(), BuiltHandler::ignoring(), pages);
        start(&mut server);
        let never = || std::future::pending();
        let waited = tokio::time::timeout(Duration::from_millis(50), server.wait(never()));
        waited.await.expect_err("all goes well");
        inbox.close().await.expect("closed");
        let ended = tokio::time::timeout(Duration::from_secs(60), server.wait(never()));
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
}
