//! Pages that are served, over an inbox of the test's own.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use heygen_dashboard::{Dashboard, SandboxAttempt, SandboxControl, Sender};
use heygen_events::EventType;
use heygen_inbox::sqlite::{NewRejected, RejectedAt, RejectedRing, RingOptions, SqliteInbox};
use heygen_inbox::{
    BoxInbox, DeliveryId, Header, Inbox as _, NewDelivery, RejectedRequests as _, Source,
    StoredDelivery,
};
use heygen_receiver::{Delivery, Dispatcher};
use heygen_signature::Secret;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use xtask_screenshots::Browser;

/// Long enough for a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const TOKEN: &str = "a-token-that-no-one-guesses-0123";

pub(crate) struct Site {
    url: String,
    pub(crate) inbox: BoxInbox,
    tasks: JoinSet<()>,
    _folder: TempDir,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(|dashboard| dashboard).await
    }

    /// Pages as `change` leaves them.
    pub(crate) async fn with(change: impl FnOnce(Dashboard) -> Dashboard) -> Self {
        Self::at_address("127.0.0.1:0", change).await
    }

    pub(crate) async fn at_address(
        address: &str,
        change: impl FnOnce(Dashboard) -> Dashboard,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inbox = SqliteInbox::open(folder.path().join("inbox.db")).unwrap();
        let inbox = BoxInbox::new(inbox);
        let secrets = || vec![("the secret of the tests".to_owned(), secret())];
        let router = change(Dashboard::new(inbox.clone()).secrets(secrets)).router();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            inbox,
            tasks,
            _folder: folder,
        }
    }

    pub(crate) fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }

    /// Ends as a process does: its port is free, its sessions are gone.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Appends what HeyGen signed.
    pub(crate) async fn append(&self, body: impl AsRef<[u8]>) -> DeliveryId {
        self.append_with(body, &[]).await
    }

    pub(crate) async fn append_with(
        &self,
        body: impl AsRef<[u8]>,
        headers: &[(&str, &str)],
    ) -> DeliveryId {
        let body = body.as_ref();
        let signature = secret().sign(body).to_string();
        let signed = [("signature", signature.as_str())];
        let headers = signed.iter().chain(headers);
        let headers = headers.map(|(name, value)| Header::new(name, value.as_bytes()));
        let (now, body) = (SystemTime::now(), body.to_vec().into());
        let delivery = NewDelivery::new(now, Source::Webhook, headers.collect(), body);
        self.inbox.append(delivery).await.unwrap().id()
    }

    /// Dispatches to a handler that acknowledges and counts.
    pub(crate) fn dispatch(&mut self) -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let handler = move |_: Delivery| {
            counter.fetch_add(1, Ordering::SeqCst);
            async {}
        };
        let dispatcher = Dispatcher::new(self.inbox.clone(), handler);
        self.tasks.spawn(async move {
            dispatcher.run(std::future::pending()).await;
        });
        count
    }
}

/// What a person does, or waits to see.
pub(crate) enum Step<'a> {
    /// Opens a page.
    Go(&'a str),
    /// Waits for a text.
    See(&'a str),
    Click(&'a str),
    Link(&'a str),
    Fill(&'a str, &'a str),
    /// Has axe-core look at the page.
    Check,
}

impl Site {
    pub(crate) async fn walk(&self, browser: &Browser, steps: &[Step<'_>]) {
        for step in steps {
            match step {
                Step::Go(path) => browser.goto(&self.at(path)).await,
                Step::See(text) => drop(browser.wait_for(text).await),
                Step::Click(css) => browser.click(css).await,
                Step::Link(text) => browser.click_link(text).await,
                Step::Fill(css, text) => browser.fill(css, text).await,
                Step::Check => browser.check_accessible().await,
            }
        }
    }
}

/// Rejected requests in a file of the test's own.
pub(crate) struct Requests {
    ring: RejectedRing,
    pub(crate) file: Arc<RejectedAt>,
    _folder: TempDir,
}

impl Default for Requests {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.db.rejected");
        Self {
            ring: RejectedRing::start(&path, RingOptions::default()).unwrap(),
            file: Arc::new(RejectedAt::new(path)),
            _folder: folder,
        }
    }
}

impl Requests {
    /// One that was rejected, and is written. Only a signed one was diagnosed.
    pub(crate) fn add(&self, reason: &str, body: &str, signed_with: Option<&Secret>) {
        let signature = signed_with.map(|secret| secret.sign(body.as_bytes()).to_string());
        let header = signature.map(|signature| Header::new("signature", signature.as_bytes()));
        let is_signed = header.is_some();
        let count = self.file.list(10).unwrap().len();
        let request = NewRejected::new(SystemTime::now(), reason)
            .explanation(is_signed.then(|| "Set the right secret.".to_owned()))
            .header_names(["content-type", "signature"])
            .signatures(header, is_signed)
            .body(body.to_owned());
        self.ring.record(request);
        let begun_at = Instant::now();
        while self.file.list(10).unwrap().len() == count {
            assert!(begun_at.elapsed() < PATIENCE, "it is not written");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Sends to no one: every address but one refuses.
pub(crate) struct Sends;

impl Sender for Sends {
    fn send(
        &self,
        delivery: StoredDelivery,
        url: String,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        Box::pin(async move {
            match url.as_str() {
                "http://127.0.0.1:3000/heygen" => {
                    Ok(format!("{} was acknowledged.", delivery.summary.id))
                }
                _ => Err(format!("{url} answered 503: <b>busy</b>")),
            }
        })
    }
}

/// A sandbox that sends to no one.
#[derive(Default)]
pub(crate) struct Control {
    bodies: Mutex<Vec<String>>,
    misbehaviour: Mutex<String>,
}

impl Control {
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

impl SandboxControl for Control {
    fn url(&self) -> String {
        "http://127.0.0.1:8090".to_owned()
    }

    fn endpoints(&self) -> Vec<String> {
        match self.bodies().is_empty() {
            true => Vec::new(),
            false => vec!["http://127.0.0.1:8080/webhooks/heygen".to_owned()],
        }
    }

    fn sample(&self, event: &EventType) -> String {
        json!({"event_type": event.as_str(), "event_data": {"video_id": "sample"}}).to_string()
    }

    fn send(&self, body: &str) -> Result<(), String> {
        self.bodies.lock().unwrap().push(body.to_owned());
        Ok(())
    }

    fn misbehaviour(&self) -> String {
        self.misbehaviour.lock().unwrap().clone()
    }

    fn misbehave(&self, json: &str) -> Result<(), String> {
        json.clone_into(&mut self.misbehaviour.lock().unwrap());
        Ok(())
    }

    fn attempts(&self) -> Vec<SandboxAttempt> {
        let bodies = self.bodies();
        bodies
            .iter()
            .map(|_| SandboxAttempt::new("avatar_video.fail", 1, None))
            .collect()
    }
}

pub(crate) fn secret() -> Secret {
    Secret::new("whsec_of_the_dashboard_tests").unwrap()
}

pub(crate) fn success(video_id: &str) -> String {
    let url = format!("https://media.invalid/{video_id}.mp4?Signature=presigned");
    let data =
        json!({"video_id": video_id, "url": url, "callback_id": format!("order-{video_id}")});
    json!({"event_type": "avatar_video.success", "event_data": data}).to_string()
}

pub(crate) fn fail(video_id: &str, message: &str) -> String {
    let data = json!({"video_id": video_id, "msg": message});
    json!({"event_type": "avatar_video.fail", "event_data": data}).to_string()
}

pub(crate) async fn reach(count: &AtomicUsize, wanted: usize) {
    let reached = async {
        while count.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached)
        .await
        .expect("they are handled");
}
