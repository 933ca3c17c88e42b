//! `serve --check` with an inbox on streams.

use super::World;
use crate::start::told;
use crate::support::with_free_ports;

#[test]
fn check_creates_no_streams() {
    let world = World::new();
    let check =
        |arguments: &[&str]| world.run(&[&with_free_ports(&["--check"]), arguments].concat());
    let ended = check(&[]).ok();
    assert!(
        ended.stdout.contains("would be created"),
        "{}",
        ended.stdout
    );
    told(&world.run(&["inbox", "list"]), 1, "there is no stream");

    let serve = world.receive(&[]);
    serve.trigger(&world.workdir, &["batch.finished"]).ok();
    let ended = check(&[]).ok();
    assert!(
        ended.stdout.contains("/HEYGEN is there"),
        "{}",
        ended.stdout
    );
    let required = check(&["--require-sync"]);
    told(&required, 1, "--require-sync is given");
}
