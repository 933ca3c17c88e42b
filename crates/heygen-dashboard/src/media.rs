//! A preview of what a delivery brought, in a frame of its own, which is loaded on a click.
//!
//! It is the one page that may fetch something from elsewhere: what its own policy names is the one
//! server of the link, and no referrer goes there.

use axum::extract::{Path, Query, State};
use axum::response::IntoResponse as _;
use heygen_events::{Event, MediaKind};
use heygen_inbox::StoredDelivery;
use http::header;
use maud::{DOCTYPE, Markup, html};
use url::Url;

use crate::asset::address;
use crate::page::View;
use crate::problem::Problem;
use crate::site::{Answer, Shared};

/// A link that a preview can show.
pub(crate) struct Media {
    pub(crate) kind: MediaKind,
    pub(crate) name: &'static str,
    link: Url,
}

impl Media {
    /// Everything that this delivery brought, its main link first.
    pub(crate) fn all(stored: &StoredDelivery) -> Vec<Self> {
        let Ok(event) = Event::from_slice(&stored.body) else {
            return Vec::new();
        };
        let data = event.data::<serde_json::Value>().unwrap_or_default();
        let named = |field: &str| data[field].as_str().map(str::to_owned);
        let main = event.media_kind().zip(event.media_url().map(str::to_owned));
        let gif = named("gif_download_url").map(|link| (MediaKind::Gif, link));
        let caption = ["caption_url", "subtitle_url"].into_iter().find_map(named);
        let caption = caption.map(|link| (MediaKind::Caption, link));
        let mut all: Vec<Self> = Vec::new();
        for (kind, link) in main.into_iter().chain(gif).chain(caption) {
            if let Some(media) = Self::new(kind, &link)
                && all.iter().all(|known| known.link != media.link)
            {
                all.push(media);
            }
        }
        all
    }

    fn new(kind: MediaKind, link: &str) -> Option<Self> {
        let link = Url::parse(link).ok()?;
        let is_web = matches!(link.scheme(), "http" | "https");
        let name = match kind {
            MediaKind::Video => "video",
            MediaKind::Gif => "animated preview",
            MediaKind::Caption => "captions",
            _ => "media",
        };
        let media = Self { kind, name, link };
        (is_web && media.origin().is_some()).then_some(media)
    }

    /// Where it is fetched from, as a policy may name it: what could be read as more than a server is none.
    fn origin(&self) -> Option<String> {
        let origin = self.link.origin().ascii_serialization();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_[]".contains(c);
        origin.chars().all(is_plain).then_some(origin)
    }

    /// Whose server it is on, to say so before anything is loaded.
    pub(crate) fn host(&self) -> &str {
        self.link.host_str().unwrap_or_default()
    }

    fn markup(&self) -> Markup {
        let link = self.link.as_str();
        match self.kind {
            MediaKind::Gif => {
                html! { img src=(link) alt="Animated preview" referrerpolicy="no-referrer"; }
            }
            MediaKind::Caption => {
                html! { iframe src=(link) title="Captions" sandbox referrerpolicy="no-referrer" {} }
            }
            _ => html! { video src=(link) controls preload="metadata" aria-label="Video" {} },
        }
    }
}

pub(crate) async fn show(
    State(site): Shared,
    Path(id): Path<String>,
    Query(view): Query<View>,
) -> Answer {
    let stored = site.stored(&id).await?;
    let media = Media::all(&stored).into_iter().nth(view.number);
    let media = media.ok_or_else(|| Problem::not_found("There is nothing to preview."))?;
    let origin = media.origin().unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; media-src {origin}; img-src {origin}; frame-src {origin}; base-uri 'none'; \
         frame-ancestors 'self'"
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { "Preview: " (media.name) }
                link rel="stylesheet" href=(address(&site, "style.css"));
            }
            body.media { main { (media.markup()) } }
        }
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_server_gets_into_the_policy() {
        let origin = |link: &str| Media::new(MediaKind::Video, link)?.origin();
        assert_eq!(
            origin("https://a.example/v.mp4?x=1").as_deref(),
            Some("https://a.example")
        );
        assert_eq!(
            origin("http://[::1]:8080/v").as_deref(),
            Some("http://[::1]:8080")
        );
        for hostile in [
            "https://a.example;script-src",
            "https://a.example,*/v",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "no link",
        ] {
            assert_eq!(origin(hostile), None, "{hostile}");
        }
    }
}
