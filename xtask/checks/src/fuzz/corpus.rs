//! What fuzzing begins with: every fixture, dressed as the target takes it, and what `fuzz/seeds` has for the target.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::workspace;

/// Writes the seeds of a target into `target/fuzz/seeds`, and returns how many there are.
pub(super) fn write(root: &Path, target: &str) -> Result<usize> {
    let folder = root.join("target/fuzz/seeds").join(target);
    // Seeds of a fixture that has gone would stay for ever.
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let mut seeds = Vec::new();
    for path in workspace::files_below(root, "fixtures")? {
        if path != "fixtures/README.md" {
            let body = read(root, &path)?;
            seeds.push((path.replace('/', "_"), dressed(target, &body)));
        }
    }
    for path in workspace::files_below(root, &format!("fuzz/seeds/{target}"))? {
        seeds.push((path.replace('/', "_"), read(root, &path)?));
    }
    for (name, seed) in &seeds {
        let path = folder.join(name);
        fs::write(&path, seed).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(seeds.len())
}

/// A body in what the target takes; the marks are those of its invariants.
fn dressed(target: &str, body: &[u8]) -> Vec<u8> {
    let head = match target {
        "signature_header" => "Signature: {first}\n\n",
        "request" => {
            "POST /webhooks/heygen HTTP/1.1\nHost: a\nSignature: {sign}\nContent-Length: {length}\n\n"
        }
        "import" => return line(body).into_bytes(),
        _ => "",
    };
    [head.as_bytes(), body].concat()
}

/// As `inbox export` writes it. What is not UTF-8 would stand there in base64; what is nearly it must do here.
fn line(body: &[u8]) -> String {
    json!({
        "received_at": "2026-09-21T14:13:20.120003Z",
        "source": "webhook",
        "state": "acknowledged",
        "attempts": 1,
        "headers": [["content-type", "application/json"]],
        "body": String::from_utf8_lossy(body),
        "repeats": {"count": 0, "last_at": null, "last_headers": []},
        "attempt_list": [],
    })
    .to_string()
}

fn read(root: &Path, path: &str) -> Result<Vec<u8>> {
    fs::read(root.join(path)).with_context(|| format!("read {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_gets_its_seeds() {
        let root = tempfile::tempdir().unwrap();
        let write_file = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write_file("fixtures/README.md", "no seed");
        write_file("fixtures/bodies/a.txt", "{}");
        write_file("fuzz/seeds/request/b", "GET / HTTP/1.1\n\n");
        let seed = |target: &str, name: &str| {
            let folder = root.path().join("target/fuzz/seeds").join(target);
            fs::read_to_string(folder.join(name)).unwrap()
        };
        assert_eq!(write(root.path(), "request").unwrap(), 2);
        let name = "fixtures_bodies_a.txt";
        assert!(seed("request", name).ends_with("{length}\n\n{}"));
        assert!(seed("request", "fuzz_seeds_request_b").starts_with("GET"));
        for (target, expected) in [
            ("event", "{}"),
            ("signature_header", "Signature: {first}\n\n{}"),
        ] {
            assert_eq!(write(root.path(), target).unwrap(), 1);
            assert_eq!(seed(target, name), expected);
        }
        assert_eq!(write(root.path(), "import").unwrap(), 1);
        let line: serde_json::Value = serde_json::from_str(&seed("import", name)).unwrap();
        assert_eq!(line["body"], "{}");
    }
}
