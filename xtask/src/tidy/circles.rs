//! Circles of files: within a crate, imports run one way.
//!
//! File A needs file B when code of A, its tests left out, names something that B defines. Two things do not count: a
//! `pub use`, which is a table of contents, and what a file in a folder takes from the file that the folder belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr as _;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use regex::Regex;
use xtask_checks::workspace::{self, Member};

/// Looks for circles in the sources of every member.
pub(super) fn check(root: &Path, members: &[Member], problems: &mut Vec<String>) -> Result<()> {
    for member in members {
        let folder = format!("{}/src", member.folder);
        let mut sources = BTreeMap::new();
        for path in workspace::files_below(root, &folder)? {
            if let Some(module) =
                module_of(path.trim_start_matches(&*folder).trim_start_matches('/'))
            {
                sources.insert(module, workspace::read(root, &path)?);
            }
        }
        if let Some(circle) = circle(&sources).with_context(|| folder.clone())? {
            problems.push(format!("{folder}: these files need each other: {circle}"));
        }
    }
    Ok(())
}

/// The module of a source file; `None` for what is no module of the crate, such as `bin/x.rs`.
fn module_of(path: &str) -> Option<Vec<String>> {
    let stem = path.strip_suffix(".rs")?;
    match stem {
        "lib" | "main" => Some(Vec::new()),
        _ if stem.starts_with("bin/") => None,
        _ => Some(stem.split('/').map(str::to_owned).collect()),
    }
}

type Module = Vec<String>;

/// What one file says of itself.
#[derive(Default)]
struct File {
    /// What its `use`s bring into scope, by the name they have here.
    names: BTreeMap<String, Module>,
    /// The paths that its code names, from the root of the crate.
    paths: BTreeSet<Module>,
}

/// The files on circles, and between circles, with what each needs of the others.
fn circle(sources: &BTreeMap<Module, String>) -> Result<Option<String>> {
    let uses =
        Regex::new(r"(?:\b(pub)\b(?:\([^)]*\))? ?)?\buse ([^;]+);").context("look for uses")?;
    let paths = Regex::new(r"\b[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+").context("look for paths")?;
    let mut files = BTreeMap::new();
    for (module, text) in sources {
        // Tests end their file.
        let text = text.split("\nmod tests {").next().unwrap_or(text);
        let tokens = TokenStream::from_str(text);
        let tokens = tokens.map_err(|error| anyhow!("{}: {error}", module.join("::")))?;
        let mut text = String::new();
        write(tokens, &mut text);
        let file = File::default();
        let mut reader = Reader {
            module,
            sources,
            file,
        };
        // Names first: a path may stand before the `use` that it needs.
        for found in uses.captures_iter(&text) {
            reader.bring(&found[2], "", found.get(1).is_some());
        }
        for path in paths.find_iter(&uses.replace_all(&text, ";")) {
            reader.need(path.as_str());
        }
        files.insert(module.clone(), reader.file);
    }
    let needs = |(module, file): (&Module, &File)| {
        let needed = file.paths.iter().map(|path| owner(path, &files, 0));
        let needed = needed.filter(|other| !module.starts_with(other) && files.contains_key(other));
        (module.clone(), needed.collect::<BTreeSet<_>>())
    };
    let mut needs: BTreeMap<_, _> = files.iter().map(needs).collect();
    // A file that needs no other, or that no other needs, is on no circle; without it the same may hold for its neighbours.
    loop {
        let before = needs.len();
        let needed: BTreeSet<Module> = needs.values().flatten().cloned().collect();
        needs.retain(|file, others| !others.is_empty() && needed.contains(file));
        if needs.len() == before {
            break;
        }
        let left: BTreeSet<Module> = needs.keys().cloned().collect();
        for others in needs.values_mut() {
            others.retain(|other| left.contains(other));
        }
    }
    let arrows = needs.iter().flat_map(|(from, others)| {
        let arrow = |to| format!("{} -> {}", shown(from), shown(to));
        others.iter().map(arrow)
    });
    let arrows: Vec<String> = arrows.collect();
    Ok((!arrows.is_empty()).then(|| arrows.join(", ")))
}

fn shown(module: &Module) -> String {
    match module.is_empty() {
        true => "the root".to_owned(),
        false => module.join("/"),
    }
}

/// The file that defines what a path names: the deepest module on it, or where that module has the name from.
fn owner(path: &[String], files: &BTreeMap<Module, File>, depth: usize) -> Module {
    let known = (0..=path.len())
        .rev()
        .find(|end| files.contains_key(&path[..*end]));
    let (module, rest) = path.split_at(known.unwrap_or(0));
    let (Some(file), Some(name)) = (files.get(module), rest.first()) else {
        return module.to_vec();
    };
    match file.names.get(name) {
        // Two names that lead to each other would not compile, but a name may lead to a macro of the same name.
        Some(real) if depth < 16 && real != path => {
            let real: Vec<_> = real.iter().chain(&rest[1..]).cloned().collect();
            owner(&real, files, depth + 1)
        }
        _ => module.to_vec(),
    }
}

/// Takes up what one file names.
struct Reader<'a> {
    module: &'a Module,
    sources: &'a BTreeMap<Module, String>,
    file: File,
}

impl Reader<'_> {
    /// A path as it stands here, from the root of the crate; `None` for what is not of this crate, or a plain local name.
    fn absolute(&self, path: &str) -> Option<Module> {
        let mut names = path.split("::");
        let mut base = match names.next()? {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().checked_sub(1)?].to_vec(),
            name => {
                let mut child = self.module.clone();
                child.push(name.to_owned());
                match self.file.names.get(name) {
                    Some(real) => real.clone(),
                    None if self.sources.contains_key(&child) => child,
                    None => return None,
                }
            }
        };
        for name in names {
            match name {
                "super" => drop(base.pop()),
                "self" => {}
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }

    fn need(&mut self, path: &str) {
        if let Some(path) = self.absolute(path) {
            self.file.paths.insert(path);
        }
    }

    /// Reads what follows `use`, or stands in its braces.
    fn bring(&mut self, tree: &str, before: &str, is_public: bool) {
        let mut depth = 0;
        let parts = tree.split(|mark| {
            depth += i32::from(mark == '{') - i32::from(mark == '}');
            mark == ',' && depth == 0
        });
        for part in parts.filter(|part| !part.is_empty()) {
            if let Some((start, inside)) = part.split_once('{') {
                let inside = inside.strip_suffix('}').unwrap_or(inside);
                self.bring(inside, &format!("{before}{start}"), is_public);
                continue;
            }
            let path = format!("{before}{part}");
            match path.strip_suffix("::*") {
                Some(_) if is_public => {}
                Some(path) => self.need(path),
                None => self.bring_name(&path, is_public),
            }
        }
    }

    fn bring_name(&mut self, path: &str, is_public: bool) {
        let (path, as_name) = match path.split_once(" as ") {
            Some((path, name)) => (path, Some(name.to_owned())),
            None => (path, None),
        };
        let Some(real) = self.absolute(path) else {
            return;
        };
        let Some(name) = as_name.or_else(|| real.last().cloned()) else {
            return;
        };
        // Of a module only what is then named of it counts.
        if !is_public && !self.sources.contains_key(&real) {
            self.file.paths.insert(real.clone());
        }
        self.file.names.insert(name, real);
    }
}

/// Writes the tokens, but what stands in quotes, with blanks between words alone. What macros are given is no syntax tree, but
/// has paths, too.
fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let [open, close] = match group.delimiter() {
                    Delimiter::Brace => ['{', '}'],
                    _ => ['(', ')'],
                };
                text.push(open);
                write(group.stream(), text);
                text.push(close);
            }
            TokenTree::Ident(name) => {
                if text.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
                    text.push(' ');
                }
                text.push_str(&name.to_string());
            }
            TokenTree::Punct(punct) => text.push(punct.as_char()),
            TokenTree::Literal(_) => text.push('"'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sources: &[(&str, &str)], expected: Option<&str>) {
        let sources = sources
            .iter()
            .filter_map(|(path, text)| module_of(path).map(|module| (module, (*text).to_owned())));
        let found = circle(&sources.collect()).expect("the sources can be read");
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn circle_is_found_whichever_way_it_is_written() {
        let a = ("a.rs", "use crate::b::B; pub struct A;");
        for b in [
            "use crate::a::A; pub struct B;",
            "use super::a::A; pub struct B;",
            "pub struct B; fn f() -> crate::a::A { todo!() }",
            "pub struct B; fn f() { println!(\"{:?}\", crate::a::A) }",
            "use crate::a; pub struct B; fn f(_: a::A) {}",
            "use crate::A; pub struct B;",
            "use crate::a::A as C; pub struct B;",
        ] {
            let root = ("lib.rs", "mod a; mod b; pub use a::A;");
            check(&[root, a, ("b.rs", b)], Some("a -> b, b -> a"));
        }
        check(
            &[
                ("main.rs", "mod p;"),
                ("p.rs", "mod c; mod d;"),
                ("p/c.rs", "use super::d::D; pub struct C;"),
                ("p/d.rs", "pub struct D; fn f(_: super::c::C) {}"),
            ],
            Some("p/c -> p/d, p/d -> p/c"),
        );
    }

    #[test]
    fn what_leads_one_way_is_no_circle() {
        check(
            &[
                ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
                ("a.rs", "pub struct A;"),
                (
                    "b.rs",
                    "use crate::A; pub struct B;\nmod tests { use super::*; }",
                ),
            ],
            None,
        );
        // A table of contents above, a definition beside.
        check(
            &[
                ("lib.rs", "mod p;"),
                ("p.rs", "mod c; mod d; pub use c::C; pub use d::D;"),
                ("p/c.rs", "pub struct C;"),
                ("p/d.rs", "use super::C; pub struct D;"),
            ],
            None,
        );
        // A file and its folder.
        check(
            &[
                ("lib.rs", "mod p;"),
                ("p.rs", "mod c; pub struct P; fn f() { c::g() }"),
                ("p/c.rs", "use super::P; pub fn g() {}"),
            ],
            None,
        );
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "pub struct A;\nmod tests { use crate::b::B; }"),
                ("b.rs", "use crate::a::A; pub struct B;"),
            ],
            None,
        );
    }
}
