//! Has typify write the types of `any.json` in the folder that `SCHEMAS` names.

use std::path::Path;
use std::{env, fs};

use typify::{TypeSpace, TypeSpaceSettings};

fn main() {
    println!("cargo:rerun-if-env-changed=SCHEMAS");
    let file = Path::new(&env::var("SCHEMAS").unwrap()).join("events/any.json");
    println!("cargo:rerun-if-changed={}", file.display());
    let schema = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut types = TypeSpace::new(&TypeSpaceSettings::default());
    types.add_root_schema(schema).unwrap();
    let text = prettyplease::unparse(&syn::parse2(types.to_stream()).unwrap());
    let place = Path::new(&env::var("OUT_DIR").unwrap()).join("events.rs");
    fs::write(place, text).unwrap();
}
