//! [`Shared`]: shared by the server, the deliveries and the handle.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, task::JoinSet};

use super::{clock, paging::Tokens, settings::Settings, state::State};
use crate::sender::Sender;

pub(super) struct Shared {
    /// The base URL, without a slash at the end.
    pub(super) url: String,
    pub(super) settings: Settings,
    pub(super) tokens: Tokens,
    /// The account, as v1 names it in every endpoint.
    pub(super) username: String,
    /// Sends deliveries and probes.
    pub(super) sender: Sender,
    /// Sends deliveries without reading the answers.
    pub(super) hanging_up: Sender,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    stopping: watch::Sender<bool>,
    deliveries: Mutex<JoinSet<()>>,
    runtime: Handle,
}

impl Shared {
    pub(super) fn new(url: String, settings: Settings) -> Self {
        let sender = Sender::new("")
            .timeout(settings.delivery_timeout)
            .probe_timeout(settings.probe_timeout);
        let state = State::new(settings.misbehaviour.clone());
        Self {
            url,
            tokens: Tokens::new(),
            username: clock::new_id(),
            hanging_up: sender.clone().hanging_up(),
            sender,
            state: Mutex::new(state),
            changed: watch::Sender::default(),
            stopping: watch::Sender::default(),
            deliveries: Mutex::default(),
            runtime: Handle::current(),
            settings,
        }
    }

    /// Never held across an await. Poisoning is ignored: a panic leaves the state consistent.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a note about an unusual request.
    pub(super) fn note(&self, text: String) {
        self.state().note(text);
    }

    /// Wakes everything that waits for changes of deliveries.
    pub(super) fn changed(&self) {
        self.changed.send_replace(());
    }

    /// Changes from now on.
    pub(super) fn changes(&self) -> Changes {
        Changes(self.changed.subscribe())
    }

    /// Waits until `wanted` is true. It is called under the lock of the state.
    pub(super) async fn until(&self, mut wanted: impl FnMut(&State) -> bool) {
        let mut changes = self.changes();
        while !wanted(&self.state()) {
            changes.next().await;
        }
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut deliveries = self.deliveries();
        while deliveries.try_join_next().is_some() {}
        deliveries.spawn_on(task, &self.runtime);
    }

    /// Returns to the state after the start.
    pub(super) fn reset(&self) {
        self.deliveries().abort_all();
        self.state().reset(self.settings.misbehaviour.clone());
        self.changed();
    }

    /// Sleeps until the time is over or the sandbox stops. Returns `false` if it stops.
    pub(super) async fn pause(&self, time: Duration) -> bool {
        if self.is_stopping() {
            return false;
        }
        if time.is_zero() {
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.stopped() => false,
        }
    }

    /// Whether the sandbox is to stop.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the sandbox is to stop.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // It cannot be closed: `self` holds the sender.
        let _open = stopping.wait_for(|stopping| *stopping).await;
    }

    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until the running deliveries have noticed the stop.
    pub(super) async fn join(&self) {
        let mut deliveries = std::mem::take(&mut *self.deliveries());
        while deliveries.join_next().await.is_some() {}
    }

    /// Aborts the running deliveries.
    pub(super) fn abort(&self) {
        self.deliveries().abort_all();
    }

    fn deliveries(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for changes of deliveries since it was created.
pub(super) struct Changes(watch::Receiver<()>);

impl Changes {
    /// Waits for a change since the last call.
    pub(super) async fn next(&mut self) {
        // It cannot be closed: the caller holds the sandbox, and with it the sender.
        let _open = self.0.changed().await;
    }
}
