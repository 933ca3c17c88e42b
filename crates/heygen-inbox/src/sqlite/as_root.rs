//! Runs the tests that need root, which are ignored otherwise, where this process is root.

use std::process::Command;

/// Each of them, by its whole name. Where this process is not root they stay listed as ignored.
pub(crate) fn run(tests: &[&str]) {
    if !is_root() {
        return;
    }
    for test in tests {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--ignored"])
            .output()
            .expect("this program runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{test}:\n{said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let file = tempfile::tempfile().expect("a temporary file");
    file.metadata().expect("its owner").uid() == 0
}
