//! The style sheet, the script and the icon: embedded, and under an address of their own in each version, so that a browser may
//! keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::header;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;
use crate::site::Site;

/// Name, media type and content.
const ASSETS: [(&str, &str, &str); 3] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("style.css"),
    ),
    (
        "script.js",
        "text/javascript; charset=utf-8",
        include_str!("script.js"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
];

/// What all of them hold, in a few digits.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(ASSETS.map(|(.., content)| content).concat());
    let digits = digest.iter().take(8);
    digits.map(|byte| format!("{byte:02x}")).collect()
});

pub(crate) fn address(site: &Site, name: &str) -> String {
    site.path(&format!("/assets/{}/{name}", *VERSION))
}

pub(crate) async fn show(
    Path((version, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let mut assets = ASSETS.into_iter().filter(|_| version == *VERSION);
    let found = assets.find(|(known, ..)| *known == name);
    let (_, media_type, content) =
        found.ok_or_else(|| Problem::not_found("There is no such file."))?;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, content).into_response())
}
