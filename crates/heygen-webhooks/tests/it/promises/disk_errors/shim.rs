//! The library of `xtask/faults/src/shim.c`, which has the calls of a process fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Compiled with the compiler that SQLite is built with.
pub(super) struct Shim {
    folder: TempDir,
}

impl Shim {
    pub(super) fn build() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut words = compiler.split_whitespace();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/faults/src/shim.c");
        let status = Command::new(words.next().expect("the name of a compiler"))
            .args(words)
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(folder.path().join("shim.so"))
            .arg(source)
            .status()
            .expect("a C compiler: these tests need one, as SQLite does");
        assert!(status.success(), "shim.c compiles");
        Self { folder }
    }

    /// Has `command` start with the library in it, and look at the files of this inbox.
    pub(super) fn load_into(&self, command: &mut Command, inbox: &Path) {
        command
            .env("LD_PRELOAD", self.file("shim.so"))
            .env("SHIM_FILES", inbox)
            .env("SHIM_PLAN", self.file("plan"))
            .env("SHIM_FAILED", self.file("failed"));
    }

    /// From now on what `plan` says: GENERATION CALLS FIRST LAST ERRNO END.
    pub(super) fn plan(&self, plan: &str) {
        let _ = std::fs::remove_file(self.file("failed"));
        let new = self.file("new");
        std::fs::write(&new, plan).expect("a file");
        std::fs::rename(new, self.file("plan")).expect("the plan");
    }

    /// From now on nothing fails.
    pub(super) fn relent(&self) {
        std::fs::remove_file(self.file("plan")).expect("there was a plan");
    }

    /// Whether a call has failed since the plan was made.
    pub(super) fn has_failed(&self) -> bool {
        self.file("failed").exists()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
