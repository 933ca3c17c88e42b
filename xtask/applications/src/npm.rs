//! packages/npm: built, packed, installed from the archive into an empty project and tested there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::Places;
use crate::process::run;
use crate::tools::{Missing, copy, emptied};

/// Builds and packs; installs the archive for the receivers; tests it when that is wanted.
pub(crate) fn check(
    places: &Places,
    node: &Result<PathBuf, Missing>,
    is_wanted: bool,
) -> Result<String> {
    let node = node.clone()?;
    let program = |name: &str| Command::new(node.join("node_modules/.bin").join(name));
    let build = emptied(node.join("build"))?;
    copy(&places.root.join("packages/npm/."), &build)?;
    run(Command::new("npm")
        .args(["run", "--silent", "build"])
        .current_dir(&build))?;
    let packed = run(Command::new("npm")
        .args(["pack", "--silent"])
        .current_dir(&build))?;
    let archive = build.join(packed.trim());
    // Frameworks are found in the folder above; the package only in the project.
    let project = project(&node, "project", &archive)?;
    if !is_wanted {
        return Ok("installed, not tested".to_owned());
    }
    copy(&places.root.join("packages/npm/test"), &project)?;
    fs::write(project.join("tsconfig.json"), TSCONFIG).context("write tsconfig.json")?;
    fs::write(project.join("types.cts"), COMMONJS).context("write types.cts")?;
    run(program("tsc")
        .args(["--project", "."])
        .current_dir(&project))?;
    let tested = |mut runtime: Command, words: &[&str]| {
        run(runtime
            .args(words)
            .current_dir(&project)
            .env("HEYGEN_FIXTURES", places.root.join("fixtures"))
            .env("HEYGEN_WEBHOOKS_BIN", &places.binary)
            .env("DENO_DIR", places.target.join("deno")))
    };
    let printed = tested(Command::new("node"), &["--test", "--test-reporter=tap"])?;
    let every = |name: &str| format!("./test/{name}.test.js");
    let files = ["package", "receivers", "sandbox"].map(every);
    let files = [&*files[0], &*files[1], &*files[2]];
    tested(
        program("deno"),
        &[&["test", "--allow-all", "--no-check"], &files[..]].concat(),
    )?;
    tested(program("bun"), &[&["test"], &files[..]].concat())?;
    let passed = printed
        .lines()
        .find_map(|line| line.strip_prefix("# pass "));
    let passed = passed.context("the tests do not say how many passed")?;
    Ok(format!(
        "types compile, {passed} tests passed in Node.js, Deno, Bun and a Worker, from {}",
        packed.trim()
    ))
}

/// An empty project below `node_modules` of the frameworks, with the archive installed.
fn project(node: &Path, name: &str, archive: &Path) -> Result<PathBuf> {
    let project = emptied(node.join(name))?;
    fs::write(
        project.join("package.json"),
        "{ \"private\": true, \"type\": \"module\" }\n",
    )
    .context("write package.json")?;
    run(Command::new("npm")
        .args([
            "install",
            "--silent",
            "--offline",
            "--no-audit",
            "--no-fund",
        ])
        .arg(archive)
        .current_dir(&project))?;
    Ok(project)
}

/// `test/types.ts` as a module, `types.cts` as `CommonJS`.
const TSCONFIG: &str = r#"{
  "compilerOptions": {
    "strict": true, "noEmit": true, "module": "NodeNext", "target": "ES2022", "types": ["node"], "skipLibCheck": true
  },
  "include": ["test/types.ts", "types.cts"]
}
"#;

const COMMONJS: &str = r#"import { verify } from "heygen-webhooks";
import heygen = require("heygen-webhooks/express");
export const handler = heygen.heygen({ secrets: "whsec_test", onEvent: (event) => event.event_type });
export const verified: Promise<{ secret: number }> = verify("", {}, "whsec_test");
"#;
