//! A page of docs/ of which one part comes from a run: the part between its markers, and the machine it ran on.

use std::fs;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::process::kib;
use crate::workspace;

/// Writes what stands between `<!-- MARKER:begin -->` and `<!-- MARKER:end -->`; everything outside them stays as it is.
pub fn write(path: &'static str, marker: &str, generated: &str) -> Result<()> {
    let root = workspace::root();
    let page = between_markers(&workspace::read(&root, path)?, marker, generated);
    fs::write(root.join(path), page.context(path)?).with_context(|| format!("write {path}"))
}

/// Cores, memory and kernel; what cannot be read is left out.
pub fn machine() -> String {
    let mut words = Vec::new();
    if let Ok(cores) = thread::available_parallelism() {
        words.push(format!("{cores} cores"));
    }
    let memory = fs::read_to_string("/proc/meminfo").ok();
    if let Some(kib) = memory.as_deref().and_then(|text| kib(text, "MemTotal:")) {
        words.push(format!("{} GiB of memory", kib / (1024 * 1024)));
    }
    if let Ok(release) = fs::read_to_string("/proc/sys/kernel/osrelease") {
        // Without what a build of the kernel is called.
        let version = release.trim().split('-').next().unwrap_or_default();
        words.push(format!("Linux {version}"));
    }
    words.join(", ")
}

fn between_markers(text: &str, marker: &str, generated: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|edge| format!("<!-- {marker}:{edge} -->"));
    let found = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}\n{generated}{end}{after}"))
    });
    match found {
        Some(text) => Ok(text),
        None => bail!("`{begin}` and after it `{end}` are missing: the figures go between them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, marker: &str) {
        let page = workspace::read(&workspace::root(), path).unwrap();
        let fresh = between_markers(&page, marker, "T\n").unwrap();
        let (begin, end) = fresh.split_once(":begin -->\nT\n<!-- ").unwrap();
        assert!(page.starts_with(begin) && page.ends_with(end), "{fresh}");
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        check("docs/reliability.md", "faults");
        check("docs/reliability.md", "cluster");
        check("docs/benchmarks.md", "bench");
        let reversed = "<!-- faults:end --><!-- faults:begin -->";
        assert!(between_markers(reversed, "faults", "T\n").is_err());
    }
}
