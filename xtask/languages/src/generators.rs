//! [`checks`]: every generator with its trial.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::check::{Check, Trial};
use crate::spoil;
use crate::tools::Need;

const ANY: &str = "events/any.json";
const OPENAPI: &str = "openapi.json";

/// Every check.
#[must_use]
pub fn checks() -> Vec<Check> {
    vec![
        Check {
            generator: "json-schema-to-typescript",
            trial: "TypeScript: tsc --strict, a handler narrows exhaustively",
            schema: ANY,
            needs: &[Need::Node],
            run: json_schema_to_typescript,
            spoil: spoil::name_of_an_event,
            kept: Some(("types.ts", "packages/npm/src/types.ts")),
        },
        Check {
            generator: "json-schema-to-zod",
            trial: "JavaScript: verdicts on all fixtures, nothing lost",
            schema: ANY,
            needs: &[Need::Node],
            run: json_schema_to_zod,
            spoil: spoil::name_of_an_event,
            kept: None,
        },
        Check {
            generator: "datamodel-code-generator",
            trial: "Python: pydantic, verdicts on all fixtures, nothing lost",
            schema: ANY,
            needs: &[Need::Python],
            run: datamodel_code_generator,
            spoil: spoil::unknown_fields,
            kept: Some(("models.py", "packages/python/src/heygen_webhooks/models.py")),
        },
        Check {
            generator: "quicktype",
            trial: "Go: go vet",
            schema: ANY,
            needs: &[Need::Node, Need::Go],
            run: quicktype_go,
            spoil: spoil::field,
            kept: None,
        },
        Check {
            generator: "quicktype",
            trial: "Java: javac",
            schema: ANY,
            needs: &[Need::Node, Need::Java],
            run: quicktype_java,
            spoil: spoil::field,
            kept: None,
        },
        Check {
            generator: "typify",
            trial: "Rust: cargo check",
            schema: ANY,
            needs: &[],
            run: typify,
            spoil: spoil::name_of_a_definition,
            kept: None,
        },
        Check {
            generator: "openapi-spec-validator",
            trial: "OpenAPI 3.1: valid",
            schema: OPENAPI,
            needs: &[Need::Python],
            run: openapi_spec_validator,
            spoil: spoil::place_of_a_parameter,
            kept: None,
        },
        Check {
            generator: "openapi-typescript",
            trial: "TypeScript: tsc --strict, a handler of webhooks and a typed call",
            schema: OPENAPI,
            needs: &[Need::Node],
            run: openapi_typescript,
            spoil: spoil::name_of_a_webhook,
            kept: None,
        },
        Check {
            generator: "@hey-api/openapi-ts",
            trial: "TypeScript: tsc --strict, a handler of webhooks and its client",
            schema: OPENAPI,
            needs: &[Need::Node],
            run: hey_api,
            spoil: spoil::name_of_a_webhook,
            kept: None,
        },
    ]
}

fn json_schema_to_typescript(trial: &Trial<'_>) -> Result<()> {
    trial.call(
        trial
            .tools
            .npm("json2ts")
            .arg("--input")
            .arg(trial.any())
            .arg("--output")
            .arg(trial.output("types.ts")),
    )?;
    tsc(trial, "typescript/events.ts")
}

fn openapi_typescript(trial: &Trial<'_>) -> Result<()> {
    let mut generator = trial.tools.npm("openapi-typescript");
    trial.call(
        generator
            .arg(trial.openapi())
            .arg("--output")
            .arg(trial.output("openapi.ts")),
    )?;
    tsc(trial, "typescript/webhooks.ts")
}

fn hey_api(trial: &Trial<'_>) -> Result<()> {
    trial.call(
        trial
            .tools
            .npm("openapi-ts")
            .arg("--input")
            .arg(trial.openapi())
            .arg("--output")
            .arg(trial.output("client"))
            .args([
                "--plugins",
                "@hey-api/typescript",
                "@hey-api/sdk",
                "@hey-api/client-fetch",
            ]),
    )?;
    tsc(trial, "typescript/client.ts")
}

/// Compiles a file of this crate that imports what was generated.
fn tsc(trial: &Trial<'_>, user: &str) -> Result<()> {
    let file = trial.copy(user)?;
    let options = [
        "--strict",
        "--noEmit",
        "--skipLibCheck",
        "--target",
        "es2022",
        "--module",
        "esnext",
        "--moduleResolution",
        "bundler",
        "--lib",
        "es2022,dom,dom.iterable",
    ];
    trial.call(trial.tools.npm("tsc").args(options).arg(file))
}

fn json_schema_to_zod(trial: &Trial<'_>) -> Result<()> {
    // Copied, because Node.js looks for packages from where a file is.
    let program = trial.copy("zod/check.mjs")?;
    let mut node = Command::new("node");
    trial.call(
        node.arg(program)
            .arg(trial.any())
            .arg(trial.root.join("fixtures")),
    )
}

fn datamodel_code_generator(trial: &Trial<'_>) -> Result<()> {
    trial.call(
        trial
            .tools
            .pip("datamodel-codegen")
            .arg("--input")
            .arg(trial.any())
            .arg("--output")
            .arg(trial.output("models.py"))
            .args([
                "--input-file-type",
                "jsonschema",
                "--output-model-type",
                "pydantic_v2.BaseModel",
            ])
            .args([
                "--target-python-version",
                "3.10",
                "--use-annotated",
                "--use-union-operator",
            ])
            .args([
                "--use-standard-collections",
                "--use-schema-description",
                "--use-double-quotes",
            ])
            .args(["--enum-field-as-literal", "all", "--disable-timestamp"])
            .args(["--formatters", "black", "isort"]),
    )?;
    let program = trial.copy("python/check.py")?;
    let mut python = trial.tools.pip("python");
    trial.call(python.arg(program).arg(trial.root.join("fixtures")))
}

fn openapi_spec_validator(trial: &Trial<'_>) -> Result<()> {
    trial.call(
        trial
            .tools
            .pip("openapi-spec-validator")
            .arg(trial.openapi()),
    )
}

/// Types of all definitions: of the union alone quicktype makes one structure for all events.
fn quicktype(trial: &Trial<'_>, options: &[&str], output: &str) -> Result<()> {
    let mut source = trial.any().into_os_string();
    source.push("#/$defs/");
    let mut generator = trial.tools.npm("quicktype");
    generator.args(["--src-lang", "schema"]).args(options);
    trial.call(generator.arg("--out").arg(trial.output(output)).arg(source))
}

fn quicktype_go(trial: &Trial<'_>) -> Result<()> {
    fs::create_dir(trial.output("events")).context("make events")?;
    let options = ["--lang", "go", "--package", "events"];
    quicktype(trial, &options, "events/events.go")?;
    trial.copy("go/go.mod")?;
    trial.copy("go/handler.go")?;
    let mut go = Command::new("go");
    let cache = trial.tools.folder().join("go");
    trial.call(
        go.args(["vet", "./..."])
            .env("GOCACHE", cache)
            .env("GOFLAGS", "-mod=mod"),
    )
}

fn quicktype_java(trial: &Trial<'_>) -> Result<()> {
    // Without what reads JSON, which needs a library.
    let options = ["--lang", "java", "--package", "events", "--just-types"];
    quicktype(trial, &options, "Events.java")?;
    trial.copy("java/Handler.java")?;
    let files = fs::read_dir(&trial.folder).context("list the output")?;
    let mut files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    let mut javac = Command::new("javac");
    trial.call(javac.arg("-d").arg(trial.output("classes")).args(files))
}

fn typify(trial: &Trial<'_>) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    trial.call(
        Command::new(cargo)
            .args(["check", "--quiet", "--locked", "--manifest-path"])
            .arg(trial.source("rust/Cargo.toml"))
            .arg("--target-dir")
            .arg(trial.tools.folder().join("rust"))
            .env("SCHEMAS", &trial.schemas),
    )
}
