//! The requests that `wrk` sends: a template, and for each request a row of what differs: the id, then the signature.
//!
//! HeyGen's events are unique and signed, so no two requests are the same; but signing is the sender's work and must not
//! cost anything while the receiver is measured.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use heygen_signature::Secret;
use xtask_harness::event::{SECRET, post, success};

use crate::event;

/// Writes `template`, the request of event 0, and `rows`, one for each event, into `folder`: `wrk.lua` assembles them.
pub(super) fn write(folder: &Path, count: u64) -> Result<()> {
    let secret = Secret::new(SECRET).context("a secret")?;
    fs::write(
        folder.join("template"),
        post(&secret, &success(&event::id(0))),
    )
    .context("write the template")?;
    let rows = File::create(folder.join("rows")).context("create the rows")?;
    let mut rows = BufWriter::new(rows);
    for number in 0..count {
        let id = event::id(number);
        let signature = secret.sign(success(&id).as_bytes());
        write!(rows, "{id}{signature}").context("write the rows")?;
    }
    rows.flush().context("write the rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `LuaJIT` hashes long strings by a few of their bytes: those before a quarter of the length must differ from request to
    /// request, or all strings would fall into one bucket and the load generator would slow down.
    #[test]
    fn a_string_of_lua_is_told_apart_by_its_signature() {
        let secret = Secret::new("whsec_test").unwrap();
        let template = post(&secret, &success(&event::id(0)));
        let signature = template.find("Signature: ").unwrap() + "Signature: ".len();
        let hashed = (template.len() >> 2) - 1;
        assert!(
            (signature..signature + 61).contains(&hashed),
            "{signature}, {hashed}"
        );
    }
}
