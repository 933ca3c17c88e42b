//! The manifests: versions in the workspace, the lints in force everywhere, folders named as their crates.
//!
//! That no version stands there unused, cargo-deny checks.

use toml::{Table, Value};
use xtask_checks::workspace::Member;

/// What a package takes from the workspace.
const INHERITED: [&str; 3] = ["edition", "license", "version"];

/// What the pages of a published crate are made from.
const PUBLISHED: [&str; 4] = ["categories", "documentation", "keywords", "readme"];

/// Compares every manifest with these rules.
pub(super) fn check(members: &[Member], problems: &mut Vec<String>) {
    for member in members {
        let found = self::problems(member).into_iter();
        problems.extend(found.map(|problem| format!("{}/Cargo.toml: {problem}", member.folder)));
    }
}

fn problems(member: &Member) -> Vec<String> {
    let mut problems = Vec::new();
    let (name, folder) = (member.name(), member.folder.trim_start_matches("crates/"));
    if folder.replace('/', "-") != name {
        problems.push(format!(
            "the crate is called `{name}` and its folder `{folder}`"
        ));
    }
    if !inherits(member.manifest.get("lints")) {
        problems.push("`lints.workspace = true` is missing".to_owned());
    }
    let package = |key: &str| member.manifest.get("package")?.get(key);
    for key in INHERITED.into_iter().filter(|key| !inherits(package(key))) {
        problems.push(format!("`{key}.workspace = true` is missing"));
    }
    let is_published = package("publish").is_none();
    let missing = |key: &&str| is_published && package(key).is_none();
    let missing = PUBLISHED.into_iter().filter(missing);
    problems.extend(missing.map(|key| format!("`{key}` is missing")));
    let own = dependencies(&member.manifest).filter(|(_, value)| !inherits(Some(value)));
    problems.extend(own.map(|(name, _)| {
        format!("`{name}` does not come from [workspace.dependencies], where versions stand")
    }));
    problems
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")) == Some(&Value::Boolean(true))
}

/// Every dependency of every kind, those for one platform included.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms.into_iter().flat_map(Table::values);
    let tables = platforms.filter_map(Value::as_table).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    tables
        .flat_map(move |table| kinds.map(|kind| table.get(kind)))
        .flatten()
        .filter_map(Value::as_table)
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        [package]
        name = 'a'
        edition.workspace = true
        license.workspace = true
        categories = []
        documentation = ''
        keywords = []
        readme = ''
        version.workspace = true
        [lints]
        workspace = true
        [dependencies]
        serde.workspace = true
        [target.'cfg(unix)'.dev-dependencies]
        tokio = { workspace = true, features = ['rt'] }
    ";

    /// The problems of the good manifest with `from` replaced by `to`.
    #[track_caller]
    fn check(from: &str, to: &str, expected: &[&str]) {
        let member = Member {
            folder: "crates/a".to_owned(),
            manifest: GOOD.replace(from, to).parse().unwrap(),
        };
        assert_eq!(problems(&member), expected);
    }

    #[test]
    fn manifests_inherit() {
        check("", "", &[]);
        let name = "the crate is called `b` and its folder `a`";
        check("'a'", "'b'", &[name]);
        let lints = "`lints.workspace = true` is missing";
        check("[lints]", "[other]", &[lints]);
        let edition = "`edition.workspace = true` is missing";
        check("edition.workspace = true", "", &[edition]);
        check("readme = ''", "", &["`readme` is missing"]);
        check("readme = ''", "publish = false", &[]);
        let own = |name| {
            format!("`{name}` does not come from [workspace.dependencies], where versions stand")
        };
        check("serde.workspace = true", "serde = '1'", &[&own("serde")]);
        check("workspace = true, f", "version = '1', f", &[&own("tokio")]);
    }
}
