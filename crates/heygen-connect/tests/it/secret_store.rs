//! The secrets of endpoints: which are accepted, until when, and how the file is kept.

use std::fs;
use std::time::{Duration, SystemTime};

use heygen_connect::SecretStore;
use heygen_inbox::private_file;

fn texts(store: &SecretStore, now: SystemTime) -> Vec<String> {
    let secrets = store.read(now).expect("readable");
    let accepted = secrets.accepted.iter();
    accepted.map(|secret| secret.expose().to_owned()).collect()
}

#[test]
fn replaced_secret_is_accepted_during_its_overlap() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SecretStore::beside(&folder.path().join("inbox.db"));
    let now = SystemTime::now();
    assert_eq!(texts(&store, now), Vec::<String>::new());
    assert!(!store.knows("e1").expect("readable"));

    let before = store.stamp();
    store
        .insert("e1", "https://a.example/", "whsec_old", Duration::ZERO)
        .expect("kept");
    assert_ne!(store.stamp(), before);
    assert!(store.knows("e1").expect("readable"));
    store
        .insert("e2", "https://b.example/", "whsec_other", Duration::ZERO)
        .expect("kept");
    store
        .insert(
            "e1",
            "https://a.example/",
            "whsec_new",
            Duration::from_secs(3600),
        )
        .expect("kept");
    assert_eq!(
        texts(&store, now),
        ["whsec_new", "whsec_other", "whsec_old"]
    );
    let later = now + Duration::from_secs(3700);
    assert_eq!(texts(&store, later), ["whsec_new", "whsec_other"]);

    assert!(store.remove("e1").expect("written"));
    assert!(!store.remove("e1").expect("nothing to do"));
    assert_eq!(texts(&store, now), ["whsec_other"]);
    assert!(!store.knows("e1").expect("readable"));
}

#[test]
fn accepted_secret_is_that_of_an_address() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SecretStore::beside(&folder.path().join("inbox.db"));
    let now = SystemTime::now();
    let check = |url: &str, at, expected| {
        assert_eq!(store.has_accepted(url, at).expect("readable"), expected);
    };
    check("https://a.example/h", now, false);
    let overlap = Duration::from_secs(3600);
    let inserted = store.insert("e1", "https://a.example/h", "whsec_a", overlap);
    inserted.expect("stored");
    check("https://A.example:443/h/", now, true);
    check("https://b.example/h", now, false);
    assert!(store.mark_replaced("e1", overlap).expect("stored"));
    check("https://a.example/h", now, true);
    check("https://a.example/h", now + 2 * overlap, false);
}

#[test]
fn secret_of_a_deleted_endpoint_expires() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SecretStore::beside(&folder.path().join("inbox.db"));
    let url = "https://a.example/h";
    for (id, url) in [
        ("e1", url),
        ("e2", "https://A.example:443/h/"),
        ("e3", "https://b.example/h"),
    ] {
        store
            .insert(id, url, &format!("whsec_{id}"), Duration::ZERO)
            .expect("kept");
    }
    let hour = Duration::from_secs(3600);
    assert!(store.expire_unlisted(url, &["e1"], hour).expect("written"));
    assert!(
        !store
            .expire_unlisted(url, &["e1"], hour)
            .expect("nothing to do")
    );
    let (now, later) = (SystemTime::now(), SystemTime::now() + 2 * hour);
    assert_eq!(texts(&store, now), ["whsec_e3", "whsec_e2", "whsec_e1"]);
    assert_eq!(texts(&store, later), ["whsec_e3", "whsec_e1"]);
    assert!(!store.knows("e2").expect("readable"));

    assert!(store.mark_replaced("e3", hour).expect("written"));
    assert!(!store.mark_replaced("nobody", hour).expect("nothing to do"));
    assert_eq!(texts(&store, later), ["whsec_e1"]);
    // The unlisted one may be that of another account: to configure it is to mean it.
    let retired = || {
        let retired = store.read(later).expect("readable").retired;
        let retired = retired.iter().map(|secret| secret.expose().to_owned());
        retired.collect::<Vec<_>>()
    };
    assert_eq!(retired(), ["whsec_e3"]);
    // Once it is replaced it is not.
    assert!(
        store
            .insert("e2", url, "whsec_new", Duration::ZERO)
            .expect("kept")
    );
    assert_eq!(
        texts(&store, SystemTime::now()),
        ["whsec_new", "whsec_e3", "whsec_e1"]
    );
    assert_eq!(retired(), ["whsec_e3", "whsec_e2"]);
}

#[test]
fn retired_secret_stays_listed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SecretStore::beside(&folder.path().join("inbox.db"));
    let keep = |id: &str, secret: &str| {
        store.insert(id, "u", secret, Duration::ZERO).expect("kept");
    };
    let retired = || {
        let secrets = store.read(SystemTime::now()).expect("readable");
        let texts = secrets
            .retired
            .iter()
            .map(|secret| secret.expose().to_owned());
        texts.collect::<Vec<_>>()
    };
    keep("e1", "whsec_1");
    assert!(retired().is_empty());
    keep("e1", "whsec_2");
    assert_eq!(retired(), ["whsec_1"]);
    // Another endpoint may have the same.
    keep("e2", "whsec_2");
    keep("e1", "whsec_3");
    assert_eq!(retired(), ["whsec_1"]);
    store.remove("e1").expect("written");
    assert_eq!(retired(), ["whsec_1"]);
    keep("e2", "whsec_1");
    assert_eq!(retired(), ["whsec_2"], "it is good again");
    for number in 0..2 * MAX_RETIRED {
        keep("e3", &format!("whsec_many_{number}"));
    }
    assert_eq!(retired().len(), MAX_RETIRED);
    assert!(texts(&store, SystemTime::now()).contains(&"whsec_1".to_owned()));

    fs::write(store.path(), " \n").expect("emptied");
    assert!(texts(&store, SystemTime::now()).is_empty() && retired().is_empty());
}

#[test]
fn check_writable_finds_an_unwritable_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SecretStore::beside(&folder.path().join("inbox.db"));
    store.check_writable().expect("it can");
    assert!(!store.path().exists(), "nothing is kept yet");
    store
        .insert("e1", "u", "whsec_x", Duration::ZERO)
        .expect("kept");
    store.check_writable().expect("it can");
    assert_eq!(texts(&store, SystemTime::now()), ["whsec_x"]);
    let in_the_way = private_file::with_suffix(store.path(), ".new");
    fs::create_dir(in_the_way).expect("a folder");
    assert!(store.check_writable().is_err());
    let nowhere = SecretStore::beside(&folder.path().join("none/inbox.db"));
    assert!(nowhere.check_writable().is_err());
}

#[test]
fn damaged_file_is_an_error_without_quotes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SecretStore::beside(&folder.path().join("inbox.db"));
    fs::write(store.path(), "{\"secrets\": \"whsec_x\"").expect("a file");
    let error = store.read(SystemTime::now()).expect_err("damaged");
    assert!(!format!("{error:#}").contains("whsec_x"), "{error:#}");
    assert!(
        store.insert("e", "u", "s", Duration::ZERO).is_err(),
        "nor is it written over"
    );
}

#[cfg(unix)]
#[test]
fn file_mode_is_0600() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SecretStore::beside(&folder.path().join("inbox.db"));
    store
        .insert("e1", "https://a.example/", "whsec_x", Duration::ZERO)
        .expect("kept");
    let mode = fs::metadata(store.path())
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// How many of those that are no longer accepted are remembered.
const MAX_RETIRED: usize = 100;
