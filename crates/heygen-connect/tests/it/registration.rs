//! A registration finds or creates its endpoint, and never loses the secret.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use heygen_api::{Client, Credentials, EventType, RetryPolicy, Subscription};
use heygen_connect::{
    ConnectError, ConnectErrorKind, Registration, RegistrationEvent, SecretStore, UnknownSecret,
};
use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation, Sandbox};
use tempfile::TempDir;

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
        let builder = Client::builder(Credentials::api_key("key")).base_url(self.heygen.url());
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

    /// The secret of the only endpoint.
    fn secret(&self) -> String {
        let endpoints = self.heygen.endpoints();
        assert_eq!(endpoints.len(), 1);
        endpoints[0].secret.expose().to_owned()
    }
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

    again.deregister().await.expect("deleted");
    assert!(setup.heygen.endpoints().is_empty() && setup.secrets().is_empty());
    again.deregister().await.expect("nothing to delete");
}

#[tokio::test]
async fn lost_answer_makes_one_endpoint_and_stores_its_secret() {
    let setup = Setup::new().await;
    let create = |operation: &&Operation| {
        operation.method() == "POST" && operation.path() == "/v3/webhooks/endpoints"
    };
    let create = Operation::ALL.iter().find(create).expect("an operation");
    let cut_off = Fault::cut_off().on(*create).times(1);
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
