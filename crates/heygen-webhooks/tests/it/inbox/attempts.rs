//! `inbox attempts`.

use super::three_events;
use crate::support::Workdir;

#[test]
fn inbox_attempts_lists_every_attempt() {
    let workdir = Workdir::new();
    let (_serve, sent) = three_events(&workdir);
    let json = workdir.json(&["inbox", "attempts", &sent[0], "--json"]);
    assert_eq!(json["id"], sent[0].as_str());
    assert_eq!(json["state"], "acknowledged");
    assert_eq!(json["due_at"], serde_json::Value::Null);
    assert_eq!(json["attempt_list"][0]["number"], 1);
    assert_eq!(json["attempt_list"][0]["result"], "acknowledged");
    let people = workdir.run(&["inbox", "attempts", &sent[0]]).ok().stdout;
    assert!(
        people.starts_with(&format!("{} is acknowledged", sent[0])) && people.contains("STARTED"),
        "{people}"
    );
    assert_eq!(workdir.run(&["inbox", "attempts", "17!"]).status, 2);
    let unknown = workdir.run(&["inbox", "attempts", "000000000000000"]);
    assert_eq!(unknown.status, 1);
}
