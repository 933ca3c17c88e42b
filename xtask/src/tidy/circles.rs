//! Circles of files: within a crate, imports run one way.
//!
//! File A needs file B when code of A, its tests left out, names something that B defines. Two things do not count: a
//! `pub use`, which is a table of contents, and what a file in a folder takes from the file that the folder belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, UseTree};
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
        for circle in circles(&sources).with_context(|| folder.clone())? {
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

fn circles(sources: &BTreeMap<Module, String>) -> Result<Vec<String>> {
    let mut files = BTreeMap::new();
    for (module, text) in sources {
        let tree = syn::parse_file(text).with_context(|| module.join("::"))?;
        let mut reader = Reader::new(module, sources);
        reader.visit_file(&tree);
        files.insert(module.clone(), reader.file);
    }
    let needs: BTreeMap<_, BTreeSet<_>> = files
        .iter()
        .map(|(module, file)| {
            let needed = file.paths.iter().map(|path| owner(path, &files, 0));
            (
                module,
                needed
                    .filter(|needed| !module.starts_with(needed) && files.contains_key(needed))
                    .collect(),
            )
        })
        .collect();
    let reached: BTreeMap<_, _> = needs
        .keys()
        .map(|from| (*from, reach(from, &needs)))
        .collect();
    let mut found = BTreeSet::new();
    for (from, all) in &reached {
        let circle: BTreeSet<_> = all
            .iter()
            .filter(|to| reached[to].contains(*from))
            .collect();
        if !circle.is_empty() {
            let arrows = circle.iter().flat_map(|from| {
                let to = needs[*from].iter().filter(|to| circle.contains(to));
                to.map(|to| format!("{} -> {}", shown(from), shown(to)))
            });
            found.insert(arrows.collect::<Vec<_>>().join(", "));
        }
    }
    Ok(found.into_iter().collect())
}

fn shown(module: &Module) -> String {
    match module.is_empty() {
        true => "the root".to_owned(),
        false => module.join("/"),
    }
}

/// Everything that can be reached from a file; the file itself only over a circle.
fn reach(from: &Module, needs: &BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<_> = needs[from].iter().collect();
    while let Some(next) = pending.pop() {
        if found.insert(next.clone()) {
            pending.extend(&needs[next]);
        }
    }
    found
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

struct Reader<'a> {
    module: &'a Module,
    sources: &'a BTreeMap<Module, String>,
    file: File,
}

impl<'a> Reader<'a> {
    fn new(module: &'a Module, sources: &'a BTreeMap<Module, String>) -> Self {
        Self {
            module,
            sources,
            file: File::default(),
        }
    }

    /// A path as it stands here, from the root of the crate; `None` for what is not of this crate, or a plain local name.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut base = match &**first {
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
        for name in rest {
            match &**name {
                "super" => drop(base.pop()),
                "self" => {}
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }

    fn need(&mut self, path: &[String]) {
        if let Some(path) = self.absolute(path) {
            self.file.paths.insert(path);
        }
    }

    fn bring(&mut self, tree: &UseTree, before: &[String], is_public: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.bring(&path.tree, &with(&path.ident), is_public),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.bring(tree, before, is_public);
                }
            }
            UseTree::Name(name) => self.bring_name(&with(&name.ident), None, is_public),
            UseTree::Rename(name) => {
                self.bring_name(&with(&name.ident), Some(name.rename.to_string()), is_public);
            }
            UseTree::Glob(_) if is_public => {}
            UseTree::Glob(_) => self.need(before),
        }
    }

    fn bring_name(&mut self, path: &[String], as_name: Option<String>, is_public: bool) {
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

    /// What a macro is given is no syntax tree, so its paths are picked out of the tokens.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end_of_path(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.end_of_path(&mut path);
                    self.read_tokens(group.stream());
                }
                _ => self.end_of_path(&mut path),
            }
        }
        self.end_of_path(&mut path);
    }

    fn end_of_path(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.need(path);
        }
        path.clear();
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test") || path.is_ident("doctest"))
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Names first: a path may stand before the `use` that it needs.
        for item in &file.items {
            if let syn::Item::Use(item) = item
                && !is_test(&item.attrs)
            {
                let is_public = !matches!(item.vis, syn::Visibility::Inherited);
                self.bring(&item.tree, &[], is_public);
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item_use(&mut self, _: &'ast ItemUse) {}

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.need(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.read_tokens(item.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sources: &[(&str, &str)], expected: &[&str]) {
        let sources = sources
            .iter()
            .filter_map(|(path, text)| module_of(path).map(|module| (module, (*text).to_owned())));
        let found = circles(&sources.collect()).expect("the sources can be read");
        assert_eq!(found, expected);
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
            check(&[root, a, ("b.rs", b)], &["a -> b, b -> a"]);
        }
        check(
            &[
                ("main.rs", "mod p;"),
                ("p.rs", "mod c; mod d;"),
                ("p/c.rs", "use super::d::D; pub struct C;"),
                ("p/d.rs", "pub struct D; fn f(_: super::c::C) {}"),
            ],
            &["p/c -> p/d, p/d -> p/c"],
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
                    "use crate::A; pub struct B; #[cfg(test)] mod tests { use super::*; }",
                ),
            ],
            &[],
        );
        // A table of contents above, a definition beside.
        check(
            &[
                ("lib.rs", "mod p;"),
                ("p.rs", "mod c; mod d; pub use c::C; pub use d::D;"),
                ("p/c.rs", "pub struct C;"),
                ("p/d.rs", "use super::C; pub struct D;"),
            ],
            &[],
        );
        // A file and its folder.
        check(
            &[
                ("lib.rs", "mod p;"),
                ("p.rs", "mod c; pub struct P; fn f() { c::g() }"),
                ("p/c.rs", "use super::P; pub fn g() {}"),
            ],
            &[],
        );
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                (
                    "a.rs",
                    "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
                ),
                ("b.rs", "use crate::a::A; pub struct B;"),
            ],
            &[],
        );
    }
}
