//! `cargo xtask public-api`: the public interface of each library, compared with `lists/CRATE.txt`, or written there.
//!
//! `xtask` starts it in the root, with `[--write] RUST CRATE…`.
//!
//! rustdoc describes a library in JSON, whose form belongs to one version of Rust; `public-api` reads that form. Both are
//! replaced together.

#![expect(
    clippy::print_stdout,
    reason = "a developer reads what this command prints"
)]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

fn main() -> Result<()> {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let writes = words.first().is_some_and(|word| word == "--write");
    words.drain(..usize::from(writes));
    ensure!(words.len() > 1, "expected a version of Rust and crates");
    let rust = words.remove(0);

    let root = env::current_dir().context("no current directory")?;
    describe(&root, &rust, &words)?;
    let mut stale = Vec::new();
    for name in &words {
        let text = list(&root, name)?;
        let file = root.join(format!("xtask/public-api/lists/{name}.txt"));
        let before = fs::read_to_string(&file).unwrap_or_default();
        if before == text {
            continue;
        }
        for line in changes(&before, &text) {
            println!("{name} {line}");
        }
        match writes {
            true => fs::write(&file, text).with_context(|| format!("write {}", file.display()))?,
            false => stale.push(name.as_str()),
        }
    }
    if !stale.is_empty() {
        bail!(
            "the public interface of {} changed; if that is meant: cargo xtask public-api --write",
            stale.join(", ")
        );
    }
    println!("{} public interfaces are as listed", words.len());
    Ok(())
}

/// Has rustdoc write `target/oldest/doc/CRATE.json` for each. The program is named so that the features are those of ci's check
/// before, whose results are used again.
fn describe(root: &Path, rust: &str, names: &[String]) -> Result<()> {
    let packages = names.iter().flat_map(|name| ["--package", name]);
    let status = Command::new("rustup")
        .args(["run", rust, "cargo", "doc", "--quiet", "--lib"])
        .args(["--no-deps", "--all-features"])
        .args(["--config=xtask/oldest.toml", "--package=heygen-webhooks"])
        .args(packages)
        .current_dir(root)
        // Those of the cargo that runs us.
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTDOC", root.join("xtask/tools/rustdoc"))
        .env(
            "RUSTDOCFLAGS",
            "-Z unstable-options --output-format json --cap-lints allow",
        )
        .status()
        .context("start rustup")?;
    ensure!(status.success(), "rustdoc failed");
    Ok(())
}

/// The list of one library: the foreign crates whose types its users meet, and everything that they can name.
fn list(root: &Path, name: &str) -> Result<String> {
    let own = name.replace('-', "_");
    let json = root.join(format!("target/oldest/doc/{own}.json"));
    let api = public_api::Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .with_context(|| format!("read {}", json.display()))?;
    let items = api.to_string();
    let foreign = foreign(&items, &own);
    let foreign: Vec<_> = foreign.into_iter().collect();
    Ok(format!("types of: {}\n\n{items}", foreign.join(", ")))
}

/// The crates, other than this one and Rust's own, that paths in these lines begin with.
fn foreign<'a>(items: &'a str, own: &str) -> BTreeSet<&'a str> {
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = items.split(|c| !is_of_path(c));
    let roots = paths.filter_map(|path| path.split_once("::").map(|(root, _)| root));
    let begins_crate = |root: &&str| root.starts_with(|c: char| c.is_ascii_lowercase());
    roots
        .filter(begins_crate)
        .filter(|root| *root != own && !["alloc", "core", "std"].contains(root))
        .collect()
}

/// The lines that were there before and those that are new.
fn changes(before: &str, after: &str) -> Vec<String> {
    let [old, new] = [before, after].map(|text| text.lines().collect::<BTreeSet<_>>());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let come = new.difference(&old).map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_crates_are_named() {
        let items = "\
            pub fn a::B::c(&self, headers: &http::header::map::HeaderMap) -> core::option::Option<bytes::bytes::Bytes>\n\
            impl<T: serde_core::ser::Serialize> a::D for T::Item\n\
            pub type a::B::Err = <I as heygen_inbox::Inbox>::Err\n";
        let expected = ["bytes", "heygen_inbox", "http", "serde_core"];
        assert!(foreign(items, "a").into_iter().eq(expected));
    }

    #[test]
    fn changes_are_told_by_line() {
        assert_eq!(changes("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
        assert!(changes("a\n", "a\n").is_empty());
    }
}
