//! The requests that `wrk` sends: a template, and for each request a row of what differs: the id, then the signature.
//!
//! HeyGen's events are unique and signed, so no two requests are the same; but signing is the sender's work and must not
//! cost anything while the receiver is measured.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use heygen_signature::Secret;
use xtask_harness::client::PATH;
use xtask_harness::event::SECRET;

use crate::event::{self, USER_AGENT};

/// Writes `template`, the request of event 0, and `rows`, one for each event, into `folder`: `wrk.lua` assembles them.
pub(super) fn write(folder: &Path, count: u64) -> Result<()> {
    let secret = Secret::new(SECRET).context("a secret")?;
    fs::write(folder.join("template"), request(&secret, 0)).context("write the template")?;
    let rows = File::create(folder.join("rows")).context("create the rows")?;
    let mut rows = BufWriter::new(rows);
    for number in 0..count {
        let id = event::id(number);
        let signature = secret.sign(event::body(&id).as_bytes());
        write!(rows, "{id}{signature}").context("write the rows")?;
    }
    rows.flush().context("write the rows")
}

fn request(secret: &Secret, number: u64) -> String {
    let body = event::body(&event::id(number));
    let signature = secret.sign(body.as_bytes());
    let length = body.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {USER_AGENT}\r\nAccept-Encoding: gzip, deflate\r\n\
         Accept: */*\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Signature: {signature}\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use heygen_signature::{Secrets, Signature};

    use super::*;

    const ID: usize = 32;
    const ROW: usize = ID + 64;

    #[test]
    fn a_template_and_a_row_make_a_request_that_is_rightly_signed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 20).unwrap();
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        let (template, rows) = (read("template"), read("rows"));
        let secret = Secret::new(SECRET).unwrap();
        assert_eq!(rows.len(), 20 * ROW);
        let row = |number: u64| rows[number as usize * ROW..][..ROW].split_at(ID);
        let (first_id, first_signature) = row(0);
        for number in 0..20 {
            let (id, signature) = row(number);
            // As `wrk.lua` does it.
            let request = template
                .replace(first_id, id)
                .replace(first_signature, signature);
            assert_eq!(request, super::request(&secret, number));
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(signature));
            let signature: Signature = signature.parse().unwrap();
            let secrets = Secrets::new(secret.clone());
            assert!(secrets.verify(&signature, body.as_bytes()).is_ok());
        }
    }

    /// `LuaJIT` hashes long strings by a few of their bytes: those before a quarter of the length must differ from request to
    /// request, or all strings would fall into one bucket and the load generator would slow down.
    #[test]
    fn a_string_of_lua_is_told_apart_by_its_signature() {
        let template = request(&Secret::new("whsec_test").unwrap(), 0);
        let signature = template.find("Signature: ").unwrap() + "Signature: ".len();
        let hashed = (template.len() >> 2) - 1;
        assert!(
            (signature..signature + 61).contains(&hashed),
            "{signature}, {hashed}"
        );
    }
}
