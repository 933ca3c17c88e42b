//! A file that becomes read-only while it is served, and one that is so from the start.

use std::path::Path;
use std::process::Stdio;

use anyhow::Result;

use super::event::Events;
use super::ground::{Ground, Home, told};
use super::outage::Outages;
use super::shim::{EROFS, Failing, Lasting, Shim};
use super::table::Row;

pub(super) const WHAT: &str = "the inbox's files become read-only (EROFS on whatever changes them) again and again while 16 \
connections deliver: 503 while it lasts, taken again after it without a restart; a command or a start meanwhile ends with an error";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let rounds = ground.size(20, 3);
    let (home, tools) = (ground.home("read-only")?, ground.home("read-only-shim")?);
    let mut shim = Shim::build(tools.folder(), home.inbox())?;
    let events = Events::new(format!("read-only-{}", ground.seed()))?;
    let mut command = home.command();
    shim.load_into(&mut command);
    let server = home.serve_through(command, &[])?;
    let mut outages = Outages::under_load(server, events);
    let mut unclear = Vec::new();
    for _ in 0..rounds {
        Outages::wait();
        shim.fail(READ_ONLY)?;
        Outages::wait();
        let output = home.run_under(&shim, &["inbox", "import", "/dev/null"])?;
        if output.status.success() || !is_clear(&told(&output)) {
            unclear.push(told(&output));
        }
        shim.relent()?;
        outages.is_over();
    }
    let stopped = outages.stop()?;
    let start = at_the_start(&home, &mut shim, &mut unclear)?;
    let mut row = stopped.row("read-only", &home)?;
    row.note(start);
    for said in unclear {
        row.wrong(format!("not told that the file is read-only: {said}"));
    }
    Ok(row)
}

/// A start must be refused with its reason: by the shim, and where we may make one, by a mount that is read-only indeed.
fn at_the_start(home: &Home, shim: &mut Shim, unclear: &mut Vec<String>) -> Result<String> {
    shim.fail(READ_ONLY)?;
    let mut command = home.command();
    shim.load_into(&mut command);
    match home.serve_through(command, &[]) {
        Ok(_) => unclear.push("serve started".to_owned()),
        Err(error) if is_clear(&error.to_string()) => {}
        Err(error) => unclear.push(error.to_string()),
    }
    shim.relent()?;
    let mount = mount_of(home.folder());
    let words: Vec<&str> = mount.iter().map(String::as_str).collect();
    let mut tried = home.command_through(&["unshare", "--mount", "sh", "-c", "true"]);
    let may_mount = tried
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !may_mount {
        return Ok("a start on a read-only mount was NOT tried, which takes root".to_owned());
    }
    match home.serve_through(home.command_through(&words), &[]) {
        Ok(_) => unclear.push("serve started on a read-only mount".to_owned()),
        Err(error) if is_clear(&error.to_string()) => {}
        Err(error) => unclear.push(error.to_string()),
    }
    Ok("a start on a read-only mount ended with an error".to_owned())
}

/// The folder read-only for one process and nobody else.
fn mount_of(folder: &Path) -> Vec<String> {
    let folder = folder.display();
    let script = format!(
        "mount --bind '{folder}' '{folder}' && mount -o remount,bind,ro '{folder}' && exec \"$0\" \"$@\""
    );
    ["unshare", "--mount", "sh", "-c", &script]
        .map(str::to_owned)
        .into()
}

/// The system's word for it, or SQLite's.
fn is_clear(said: &str) -> bool {
    ["Read-only file system", "readonly database"]
        .iter()
        .any(|words| said.contains(words))
}

/// What a file system does that has become read-only: files that are open can still be read.
const READ_ONLY: Failing<'_> = Failing {
    calls: "open-rw,write,sync,truncate,unlink",
    from: 1,
    lasting: Lasting::ForGood,
    error: EROFS,
    of: "*",
};
