//! [`Media`]: small real files behind the sandbox's links.

use std::{ops::Range, time::Duration};

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, RANGE},
};

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

/// An entry of [`File::ALL`]: the file, its name, its content type and its bytes.
macro_rules! file {
    ($file:ident, $name:literal, $content_type:literal) => {
        (
            File::$file,
            $name,
            $content_type,
            include_bytes!(concat!("media/", $name)) as &[u8],
        )
    };
}

impl File {
    /// The content types of HeyGen's hosts are not documented.
    const ALL: [(Self, &str, &str, &[u8]); 6] = [
        file!(Video, "video.mp4", "video/mp4"),
        file!(Gif, "preview.gif", "image/gif"),
        file!(Thumbnail, "thumbnail.jpg", "image/jpeg"),
        file!(Srt, "captions.srt", "text/plain"),
        file!(Vtt, "captions.vtt", "text/vtt"),
        file!(Ass, "captions.ass", "text/plain"),
    ];

    pub(super) const VIDEO_SECONDS: f64 = 2.0;

    fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(file, ..)| *file == self)
            .map_or("", |(_, name, ..)| name)
    }

    /// The file that a link leads to, by its extension.
    fn of_extension(extension: &str) -> Option<Self> {
        let extension = if extension == "jpeg" {
            "jpg"
        } else {
            extension
        };
        let has_it = |name: &str| {
            name.rsplit_once('.')
                .is_some_and(|(_, own)| own == extension)
        };
        let mut all = Self::ALL.iter();
        all.find(|(_, name, ..)| has_it(name))
            .map(|(file, ..)| *file)
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
        json.edit_scalars(&mut |_, value| {
            if let Some(link) = value.as_str().and_then(|text| self.localized(text)) {
                *value = link.into();
            }
        });
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
/// of other links of its kind of host (assumed). Importers ask for parts and expect 206; no answer
/// to that was captured (assumed).
pub(super) async fn file(
    Path((_, name)): Path<(String, String)>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Response {
    let expires = params.get("Expires").and_then(|time| time.parse().ok());
    if expires.is_some_and(|time: i64| time <= clock::unix_seconds()) {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>";
        return (StatusCode::FORBIDDEN, [(CONTENT_TYPE, "text/xml")], body).into_response();
    }
    let mut all = File::ALL.iter();
    let Some((_, _, content_type, bytes)) = all.find(|(_, known, ..)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let head = [(CONTENT_TYPE, *content_type), (ACCEPT_RANGES, "bytes")];
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    match range.and_then(|range| part(range, bytes.len())) {
        Some(part) => {
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, bytes.len());
            let range = [(CONTENT_RANGE, range)];
            (StatusCode::PARTIAL_CONTENT, head, range, &bytes[part]).into_response()
        }
        None => (head, *bytes).into_response(),
    }
}

/// The bytes that a `Range` asks for. `None` for the whole file: also where they are none of it or
/// several parts.
fn part(range: &str, len: usize) -> Option<Range<usize>> {
    let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
    let part = match (start, end) {
        ("", last) => len.saturating_sub(last.parse().ok()?)..len,
        (start, "") => start.parse().ok()?..len,
        (start, end) => start.parse().ok()?..end.parse::<usize>().ok()?.saturating_add(1).min(len),
    };
    (part.start < part.end).then_some(part)
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

    #[track_caller]
    fn check_part(range: &str, expected: Option<(usize, usize)>) {
        let part = part(range, 10).map(|part| (part.start, part.end));
        assert_eq!(part, expected, "{range}");
    }

    #[test]
    fn parts_of_a_file() {
        check_part("bytes=0-0", Some((0, 1)));
        check_part("bytes=4-", Some((4, 10)));
        check_part("bytes=4-99", Some((4, 10)));
        check_part("bytes=-3", Some((7, 10)));
        check_part("bytes=-99", Some((0, 10)));
        for whole in [
            "bytes=10-",
            "bytes=5-4",
            "bytes=-0",
            "bytes=0-1,3-4",
            "bytes=a-",
            "items=0-1",
            "",
        ] {
            check_part(whole, None);
        }
        check_part(&format!("bytes=0-{}", usize::MAX), Some((0, 10)));
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
