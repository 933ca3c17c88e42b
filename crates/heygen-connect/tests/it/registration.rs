//! A registration finds or creates its endpoint, and never loses the secret.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use heygen_api::{Client, Credentials, EventType, RetryPolicy, Subscription};
use heygen_connect::{
    ConnectError, ConnectErrorKind, Registration, RegistrationEvent, SecretStore, UnknownSecret,
};
use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation, Sandbox};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const URL: &str = "https://hooks.example/webhooks/heygen";

/// HeyGen, and a folder for the secrets.
struct Setup {
    heygen: Sandbox,
    folder: TempDir,
    events: Arc<Mutex<Vec<String>>>,
}

impl Setup {
    async fn new() -> Self {
        let builder = Sandbox::builder().probe(false);
        Self {
            heygen: builder.start().await.expect("a sandbox"),
            folder: tempfile::tempdir().expect("a folder"),
            events: Arc::default(),
        }
    }

    fn store(&self) -> SecretStore {
        SecretStore::beside(&self.folder.path().join("inbox.db"))
    }

    /// As in a process that has just started.
    fn registration(&self, url: &str) -> Registration {
        self.registration_at(self.heygen.url(), url)
    }

    fn registration_at(&self, base_url: &str, url: &str) -> Registration {
        let builder = Client::builder(Credentials::api_key("key")).base_url(base_url);
        let client = builder.retry(RetryPolicy::never()).build();
        let events = Arc::clone(&self.events);
        Registration::new(client.expect("a client"), self.store(), url).on_event(move |event| {
            let word = match event {
                RegistrationEvent::Created(..) => "created".to_owned(),
                RegistrationEvent::Found(..) => "found".to_owned(),
                RegistrationEvent::SecretStored(_) => "stored".to_owned(),
                RegistrationEvent::SecretReplaced(_) => "replaced".to_owned(),
                RegistrationEvent::SecretAssumed(_) => "assumed".to_owned(),
                RegistrationEvent::SecretNotStored(_, secret, _) => secret.expose().to_owned(),
                other => format!("{other:?}"),
            };
            events.lock().expect("no panic").push(word);
        })
    }

    fn take_events(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().expect("no panic"))
    }

    fn secrets(&self) -> Vec<String> {
        let stored = self.store().read(SystemTime::now()).expect("readable");
        let accepted = stored.accepted.iter();
        accepted.map(|secret| secret.expose().to_owned()).collect()
    }

    /// As if what was begun had been begun an hour ago.
    fn age_creations(&self) {
        let path = self.folder.path().join("inbox.db.secrets.json");
        let text = std::fs::read_to_string(&path).expect("readable");
        let mut stored: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let begun_at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
        for creation in stored["creations"].as_array_mut().expect("creations") {
            creation["begun_at"] = begun_at.to_string().into();
        }
        std::fs::write(&path, stored.to_string()).expect("writable");
    }

    /// As another program would.
    async fn delete_endpoint(&self) {
        let builder = Client::builder(Credentials::api_key("key")).base_url(self.heygen.url());
        let client = builder.build().expect("a client");
        let id = self.heygen.endpoints().remove(0).endpoint_id;
        let id = id.parse().expect("an id");
        client.v3().delete_endpoint(&id).await.expect("deleted");
    }

    /// The secret of the only endpoint.
    fn secret(&self) -> String {
        let endpoints = self.heygen.endpoints();
        assert_eq!(endpoints.len(), 1);
        endpoints[0].secret.expose().to_owned()
    }
}

fn operation(method: &str, path: &str) -> Operation {
    let is_meant = |it: &&Operation| it.method() == method && it.path() == path;
    *Operation::ALL.iter().find(is_meant).expect("an operation")
}

fn kind(ended: Result<(), ConnectError>) -> ConnectErrorKind {
    ended.expect_err("refused").kind()
}

#[tokio::test]
async fn endpoint_is_created_once_and_found_in_any_spelling() {
    let setup = Setup::new().await;
    setup.registration(URL).register().await.expect("created");
    assert_eq!(setup.take_events(), ["stored", "created"]);
    assert_eq!(setup.secrets(), [setup.secret()]);
    let again = setup.registration("https://HOOKS.example:443/webhooks/heygen/");
    again.register().await.expect("found");
    assert_eq!(setup.take_events(), ["found"]);

    let delete = operation("DELETE", "/v3/webhooks/endpoints/{endpoint_id}");
    let fault = Fault::refuse(503).on(delete);
    setup.heygen.misbehave(Misbehaviour::default().fault(fault));
    again
        .deregister()
        .await
        .expect_err("refused, and not forgotten");
    again.deregister().await.expect("deleted");
    assert!(setup.heygen.endpoints().is_empty() && setup.secrets().is_empty());
    again.deregister().await.expect("nothing to delete");
}

#[tokio::test]
async fn endpoint_that_was_deleted_elsewhere_is_deregistered() {
    let setup = Setup::new().await;
    let registration = setup.registration(URL);
    registration.register().await.expect("created");
    setup.delete_endpoint().await;
    registration.deregister().await.expect("not found is done");
    assert!(setup.secrets().is_empty() && registration.endpoint_id().is_none());
}

#[tokio::test]
async fn lost_answer_makes_one_endpoint_and_stores_its_secret() {
    let setup = Setup::new().await;
    let create = operation("POST", "/v3/webhooks/endpoints");
    let cut_off = Fault::cut_off().on(create).times(1);
    setup
        .heygen
        .misbehave(Misbehaviour::default().fault(cut_off));
    let registration = setup.registration(URL);
    let lost = registration.try_register().await.expect_err("cut off");
    assert!(lost.is_temporary(), "{lost:?}");
    assert!(setup.secrets().is_empty());
    registration.try_register().await.expect("created");
    assert_eq!(setup.secrets(), [setup.secret()]);
}

/// HeyGen shows the secret of the first answer once more.
#[tokio::test]
async fn later_process_gets_the_secret_of_a_lost_answer() {
    let setup = Setup::new().await;
    let cut_off = Fault::cut_off().on(operation("POST", "/v3/webhooks/endpoints"));
    setup
        .heygen
        .misbehave(Misbehaviour::default().fault(cut_off));
    let killed = setup.registration(URL);
    killed.try_register().await.expect_err("cut off");
    assert!(setup.secrets().is_empty() && setup.heygen.endpoints().len() == 1);
    setup.registration(URL).register().await.expect("created");
    assert_eq!(setup.secrets(), [setup.secret()]);
    let secrets = std::fs::read_to_string(setup.store().path()).expect("a file");
    assert!(!secrets.contains("idempotency_key"), "{secrets}");
}

#[tokio::test]
async fn secret_of_an_endpoint_that_is_gone_is_not_taken() {
    let setup = Setup::new().await;
    let cut_off = Fault::cut_off().on(operation("POST", "/v3/webhooks/endpoints"));
    for is_made_by_hand in [false, true] {
        let cut_off = Misbehaviour::default().fault(cut_off.clone().times(1));
        setup.heygen.misbehave(cut_off);
        let killed = setup.registration("https://hooks.example/other");
        killed.try_register().await.expect_err("cut off");
        setup.delete_endpoint().await;
        setup.age_creations();
        let next = setup.registration("https://hooks.example/other");
        if is_made_by_hand {
            let made = setup.heygen.register("https://hooks.example/other").await;
            made.expect("by hand");
            assert_eq!(kind(next.register().await), ConnectErrorKind::UnknownSecret);
        } else {
            next.register().await.expect("created");
            assert_eq!(setup.secrets(), [setup.secret()]);
            next.deregister().await.expect("deleted");
        }
    }
    assert_eq!(setup.heygen.endpoints().len(), 1);
}

/// A second one would double every event.
#[tokio::test]
async fn endpoint_that_was_just_made_may_be_missing_in_the_list() {
    let setup = Setup::new().await;
    let cut_off = Fault::cut_off().on(operation("POST", "/v3/webhooks/endpoints"));
    let cut_off = Misbehaviour::default().fault(cut_off.times(1));
    setup.heygen.misbehave(cut_off);
    let registration = setup.registration(URL);
    registration.try_register().await.expect_err("cut off");
    let secret = setup.secret();
    setup.delete_endpoint().await;
    registration.register().await.expect("it has the secret");
    assert_eq!(setup.secrets(), [secret]);
    assert_eq!(setup.heygen.endpoints().len(), 0);
}

#[tokio::test]
async fn refused_creation_is_not_repeated_by_a_later_process() {
    for status in [400, 429] {
        let setup = Setup::new().await;
        let refused = Fault::refuse(status).on(operation("POST", "/v3/webhooks/endpoints"));
        let refused = Misbehaviour::default().fault(refused.times(1));
        setup.heygen.misbehave(refused);
        let refused = setup.registration(URL).try_register().await;
        assert_eq!(kind(refused), ConnectErrorKind::Api);
        setup.heygen.register(URL).await.expect("by hand");
        let unknown = setup.registration(URL).register().await;
        assert_eq!(kind(unknown), ConnectErrorKind::UnknownSecret);
        assert_eq!(setup.heygen.endpoints().len(), 1);
    }
}

/// The key of a process that was killed before it asked HeyGen makes no second endpoint.
#[tokio::test]
async fn assumed_secret_goes_before_a_stored_key() {
    let setup = Setup::new().await;
    let (silent, mut keys) = scripted(vec![None]);
    let killed = setup.registration_at(&silent, URL);
    tokio::select! {
        ended = killed.register() => panic!("{ended:?}"),
        _asked = keys.recv() => {}
    }
    setup.heygen.register(URL).await.expect("by hand");
    let next = setup.registration(URL);
    let next = next.unknown_secret(UnknownSecret::Assume);
    next.register().await.expect("assumed");
    assert_eq!(setup.take_events(), ["assumed", "found"]);
    assert_eq!(setup.heygen.endpoints().len(), 1);
}

/// A HeyGen that answers creations one after the other. `None`: it does not answer. What it gets
/// are the idempotency keys of the creations. It lists an endpoint after 200, and after 500.
fn scripted(answers: Vec<Option<(u16, &'static str)>>) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let (keys, received) = unbounded_channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        let mut list = r#"{"data":[],"has_more":false}"#;
        while let Ok((stream, _)) = listener.accept() {
            let mut stream = BufReader::new(stream);
            let (mut line, mut length, mut key) = (String::new(), 0, None);
            while line != "\r\n" {
                line.clear();
                if stream.read_line(&mut line).expect("a line") == 0 {
                    break;
                }
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length: ") {
                    length = value.trim().parse().expect("a number");
                } else if let Some(value) = lower.strip_prefix("idempotency-key: ") {
                    key = Some(value.trim().to_owned());
                }
            }
            stream.read_exact(&mut vec![0; length]).expect("a body");
            let answer = match key {
                None => Some((200, list)),
                Some(key) => {
                    let _ended = keys.send(key);
                    let answer = answers.next().expect("an answer");
                    if let Some(CREATED | FAILED_BUT_CREATED) = answer {
                        list = LISTED;
                    }
                    answer
                }
            };
            match answer {
                Some((status, body)) => {
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status} \r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                    );
                    let _gone = stream.get_mut().write_all((head + body).as_bytes());
                }
                // Until the client has gone.
                None => drop(stream.read_to_end(&mut Vec::new())),
            }
        }
    });
    (url, received)
}

const IN_PROGRESS: (u16, &str) = (409, r#"{"error":{"code":"request_in_progress"}}"#);
const FAILED_BUT_CREATED: (u16, &str) = (500, "");
const LISTED: &str = r#"{"data":[{"endpoint_id":"e","url":"https://hooks.example/webhooks/heygen","events":null,"status":"enabled"}],"has_more":false}"#;
const CREATED: (u16, &str) = (
    200,
    r#"{"data":{"endpoint_id":"e","url":"https://hooks.example/","secret":"whsec_1"}}"#,
);

/// With another key HeyGen would make a second endpoint, and every event would come twice.
#[tokio::test]
async fn creation_keeps_its_key_until_heygen_answers_it() {
    let setup = Setup::new().await;
    let answers = [(200, "{"), IN_PROGRESS, (429, ""), CREATED].map(Some);
    let (url, mut keys) = scripted(answers.to_vec());
    let registration = setup.registration_at(&url, URL);
    for _ in 0..3 {
        let error = registration.try_register().await.expect_err("no answer");
        assert!(error.is_temporary(), "{error:?}");
    }
    registration.try_register().await.expect("created");
    let first = keys.recv().await;
    for _ in 0..3 {
        assert_eq!(keys.recv().await, first);
    }
    assert_eq!(setup.secrets(), ["whsec_1"]);
}

#[tokio::test]
async fn dropped_creation_keeps_its_key_and_is_not_waited_for() {
    let setup = Setup::new().await;
    let (url, mut keys) = scripted(vec![None, Some(CREATED)]);
    let registration = setup.registration_at(&url, URL);
    let first = tokio::select! {
        ended = registration.register() => panic!("{ended:?}"),
        key = keys.recv() => key,
    };
    let received = registration.secret_received();
    tokio::time::timeout(Duration::from_secs(60), received)
        .await
        .expect("no one makes a secret");
    registration.try_register().await.expect("created");
    assert_eq!(keys.recv().await, first);
}

/// A process was killed while HeyGen was creating the endpoint, and nothing is listed yet.
#[tokio::test]
async fn later_process_keeps_the_key_while_nothing_is_listed() {
    let setup = Setup::new().await;
    let (url, mut keys) = scripted(vec![None, None, Some(CREATED)]);
    let mut first = None;
    for address in [URL, "https://hooks.example/other"] {
        let killed = setup.registration_at(&url, address);
        let key = tokio::select! {
            ended = killed.register() => panic!("{ended:?}"),
            key = keys.recv() => key,
        };
        first = first.or(key);
    }
    let next = setup.registration_at(&url, URL);
    next.try_register().await.expect("created");
    assert_eq!(keys.recv().await, first);
    assert_eq!(setup.secrets(), ["whsec_1"]);
}

/// HeyGen may repeat the failure for the same key for a day.
#[tokio::test]
async fn key_of_a_failed_creation_is_used_only_if_the_endpoint_is_listed() {
    for is_later_process in [false, true] {
        for (failed, is_same) in [((503, ""), false), (FAILED_BUT_CREATED, true)] {
            let setup = Setup::new().await;
            let (url, mut keys) = scripted(vec![Some(failed), Some(CREATED)]);
            let mut registration = setup.registration_at(&url, URL);
            registration.try_register().await.expect_err("failed");
            if is_later_process {
                registration = setup.registration_at(&url, URL);
            }
            registration.try_register().await.expect("created");
            assert_eq!(
                keys.recv().await == keys.recv().await,
                is_same,
                "{failed:?}"
            );
            assert_eq!(setup.secrets(), ["whsec_1"]);
        }
    }
}

#[tokio::test]
async fn unknown_secret_fails_is_assumed_or_replaced() {
    let setup = Setup::new().await;
    setup.heygen.register(URL).await.expect("registered");
    let old = setup.secret();
    let with = |unknown| setup.registration(URL).unknown_secret(unknown);
    let refused = with(UnknownSecret::Fail).register().await;
    assert_eq!(kind(refused), ConnectErrorKind::UnknownSecret);
    let assumed = with(UnknownSecret::Assume);
    assumed.register().await.expect("assumed");
    assert_eq!(setup.take_events(), ["assumed", "found"]);
    assert!(setup.secrets().is_empty());
    let replaced = with(UnknownSecret::Replace);
    replaced.register().await.expect("replaced");
    assert_eq!(setup.take_events(), ["stored", "replaced", "found"]);
    assert_ne!(setup.secret(), old);
    assert_eq!(setup.secrets(), [setup.secret()]);
}

#[tokio::test]
async fn different_subscription_is_replaced() {
    let setup = Setup::new().await;
    setup.registration(URL).register().await.expect("created");
    let events = Subscription::from_iter([EventType::AvatarVideoFail]);
    for expected in [2, 1] {
        setup.take_events();
        let registration = setup.registration(URL).events(Some(events.clone()));
        registration.register().await.expect("found");
        assert_eq!(setup.take_events().len(), expected);
    }
    let subscribed = setup.heygen.endpoints().remove(0).events;
    assert_eq!(subscribed.map_or(0, |events| events.len()), 1);
}

#[tokio::test]
async fn no_secret_is_requested_if_it_cannot_be_stored() {
    let setup = Setup::new().await;
    // A folder in the way of the file that replaces the old one.
    let in_the_way = format!("{}.new", setup.store().path().display());
    std::fs::create_dir(in_the_way).expect("a folder");
    let refused = setup.registration(URL).register().await;
    assert_eq!(kind(refused), ConnectErrorKind::SecretStore);
    assert!(setup.heygen.endpoints().is_empty());
}

#[tokio::test]
async fn secret_of_an_unlisted_endpoint_is_accepted_for_a_day() {
    let setup = Setup::new().await;
    let store = setup.store();
    let overlap = Duration::ZERO;
    store
        .insert("gone", URL, "whsec_gone", overlap)
        .expect("stored");
    setup.registration(URL).register().await.expect("created");
    assert!(!store.knows("gone").expect("readable"));
    let accepted = |hours: u64| {
        let then = SystemTime::now() + Duration::from_secs(hours * 3600);
        store.read(then).expect("readable").accepted.len()
    };
    assert_eq!((accepted(23), accepted(25)), (2, 1));
    assert_eq!(setup.take_events(), ["UnlistedExpire", "stored", "created"]);
}

/// A start with the key of another account does not list it.
#[tokio::test]
async fn endpoint_that_is_listed_again_has_its_secret_back() {
    let setup = Setup::new().await;
    setup.registration(URL).register().await.expect("created");
    let id = setup.heygen.endpoints().remove(0).endpoint_id;
    let store = setup.store();
    let expired = store.expire_unlisted(URL, &["other"], Duration::ZERO);
    assert!(expired.expect("written") && setup.secrets().is_empty());
    setup.registration(URL).register().await.expect("found");
    assert_eq!(setup.secrets(), [setup.secret()]);

    // It has a newer one by now.
    let expire = |listed: &[&str]| store.expire_unlisted(URL, listed, Duration::ZERO);
    expire(&["other"]).expect("written");
    let inserted = store.insert(&id, URL, "whsec_new", Duration::ZERO);
    inserted.expect("stored");
    expire(&[&id]).expect("written");
    assert_eq!(setup.secrets(), ["whsec_new"]);

    // One that was replaced meanwhile does not come back.
    expire(&["other"]).expect("written");
    let replaced = store.mark_replaced(&id, Duration::ZERO);
    assert!(replaced.expect("written"));
    expire(&[&id]).expect("written");
    assert!(setup.secrets().is_empty());
}
