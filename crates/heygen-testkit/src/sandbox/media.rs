//! [`Media`]: small real files behind the sandbox's links.

use std::time::Duration;

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use super::{clock, input::Params};
use crate::json::Json;

/// A file. All videos are the same one, and so on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum File {
    Video,
    Gif,
    Thumbnail,
    Srt,
    Vtt,
    Ass,
}

impl File {
    /// Each with its name, content type and bytes. The content types of HeyGen's hosts are not
    /// documented.
    const ALL: [(Self, &str, &str, &[u8]); 6] = [
        (
            Self::Video,
            "video.mp4",
            "video/mp4",
            include_bytes!("media/video.mp4"),
        ),
        (
            Self::Gif,
            "preview.gif",
            "image/gif",
            include_bytes!("media/preview.gif"),
        ),
        (
            Self::Thumbnail,
            "thumbnail.jpg",
            "image/jpeg",
            include_bytes!("media/thumbnail.jpg"),
        ),
        (
            Self::Srt,
            "captions.srt",
            "text/plain",
            include_bytes!("media/captions.srt"),
        ),
        (
            Self::Vtt,
            "captions.vtt",
            "text/vtt",
            include_bytes!("media/captions.vtt"),
        ),
        (
            Self::Ass,
            "captions.ass",
            "text/plain",
            include_bytes!("media/captions.ass"),
        ),
    ];

    pub(super) const VIDEO_SECONDS: f64 = 2.0;

    fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(file, ..)| *file == self)
            .map_or("", |(_, name, ..)| name)
    }

    /// The file that a link leads to, by its extension.
    fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "mp4" => Some(Self::Video),
            "gif" => Some(Self::Gif),
            "jpg" | "jpeg" => Some(Self::Thumbnail),
            "srt" => Some(Self::Srt),
            "vtt" => Some(Self::Vtt),
            "ass" => Some(Self::Ass),
            _ => None,
        }
    }
}

/// Makes links to the files.
#[derive(Debug)]
pub(super) struct Media {
    /// Without a slash at the end.
    pub(super) base: String,
    expires: i64,
}

impl Media {
    pub(super) fn new(base: String, life: Duration) -> Self {
        let life = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        Self {
            base,
            expires: clock::unix_seconds().saturating_add(life),
        }
    }

    /// A link with the query of HeyGen's own (observed).
    pub(super) fn link(&self, id: &str, file: File) -> String {
        format!(
            "{}{PATH}/{id}/{}?Expires={}&Signature=c2FuZGJveA__&Key-Pair-Id=SANDBOX",
            self.base,
            file.name(),
            self.expires
        )
    }

    /// Makes every link of a body to a file lead to the sandbox's. What stood before the file name
    /// in the path, which is an id, stays.
    pub(super) fn localize(&self, json: &mut Json) {
        match json {
            Json::Object(fields) => fields.values_mut().for_each(|value| self.localize(value)),
            Json::Array(items) => items.iter_mut().for_each(|item| self.localize(item)),
            Json::Scalar(Value::String(text)) => {
                if let Some(link) = self.localized(text) {
                    *text = link;
                }
            }
            Json::Scalar(_) => {}
        }
    }

    fn localized(&self, text: &str) -> Option<String> {
        let rest = text.strip_prefix("https://")?;
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        let mut steps = path.rsplit('/');
        let (_, extension) = steps.next()?.rsplit_once('.')?;
        let file = File::of_extension(extension)?;
        Some(self.link(steps.next()?, file))
    }
}

/// Serves a file until its link has expired.
///
/// # Source
///
/// That HeyGen answers an expired link with 403 is documented by its command line; the body is that
/// of other links of its kind of host (assumed).
pub(super) async fn file(
    Path((_, name)): Path<(String, String)>,
    Query(params): Query<Params>,
) -> Response {
    let expires = params.get("Expires").and_then(|time| time.parse().ok());
    if expires.is_some_and(|time: i64| time <= clock::unix_seconds()) {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>";
        return (StatusCode::FORBIDDEN, [(CONTENT_TYPE, "text/xml")], body).into_response();
    }
    let mut all = File::ALL.iter();
    match all.find(|(_, known, ..)| *known == name) {
        Some((_, _, content_type, bytes)) => {
            ([(CONTENT_TYPE, *content_type)], *bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

const PATH: &str = "/sandbox/media";
pub(super) const ROUTE: &str = "/sandbox/media/{id}/{file}";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(link: &str, expected: Option<&str>) {
        let media = Media {
            base: "http://127.0.0.1:1".to_owned(),
            expires: 7,
        };
        let expected = expected.map(|file| {
            format!("http://127.0.0.1:1/sandbox/media/{file}?Expires=7&Signature=c2FuZGJveA__&Key-Pair-Id=SANDBOX")
        });
        assert_eq!(media.localized(link), expected, "{link}");
    }

    #[test]
    fn links_to_files_are_made_local() {
        check(
            "https://a.example/video/v1/1280x720.mp4?Expires=1&x=.gif",
            Some("v1/video.mp4"),
        );
        check("https://a.example/video/v1/gif.gif", Some("v1/preview.gif"));
        check(
            "https://a.example/v1/thumbnail.jpg",
            Some("v1/thumbnail.jpg"),
        );
        check("https://a.example/v1/x.ass", Some("v1/captions.ass"));
        check("https://app.heygen.com/videos/v1", None);
        check("https://a.example/image/v1/original", None);
        check("a sentence that ends in .mp4", None);
        check("", None);
    }
}
