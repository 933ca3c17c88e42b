//! `cargo xtask screenshots`: pictures of the dashboard over an inbox that is made up, in docs/images.

#![expect(clippy::print_stdout, reason = "a developer reads what was written")]

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use heygen_dashboard::{Dashboard, Fact};
use heygen_events::EventType;
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, BoxInbox, ClaimRequest, Completion, DeliveryId, Header, Inbox as _,
    InboxAdmin as _, NewDelivery, Query, Source,
};
use heygen_signature::Secret;
use heygen_testkit::EventBuilder;
use xtask_screenshots::Browser;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let inbox = BoxInbox::new(SqliteInbox::open(folder.path().join("inbox.db"))?);
    let delivery = fill(&inbox).await?;
    let url = serve(inbox).await?;
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
    std::fs::create_dir_all(&images).context("docs/images")?;
    let one = format!("/deliveries/{delivery}");
    let pages: [(&str, &str, u32, bool, u64); 4] = [
        ("dashboard", "/", 1440, false, 1000),
        ("dashboard-dark", "/deliveries", 1440, true, 800),
        ("dashboard-delivery", &one, 1100, false, 1250),
        ("dashboard-narrow", "/", 360, false, 900),
    ];
    for (name, path, width, is_dark, max_height) in pages {
        let browser = match is_dark {
            true => Browser::open_dark(width).await,
            false => Browser::open_with(width, true).await,
        };
        browser.goto(&format!("{url}{path}")).await;
        let picture = browser.picture(max_height).await;
        browser.close().await;
        let file = images.join(format!("{name}.png"));
        std::fs::write(&file, picture).with_context(|| file.display().to_string())?;
        println!("docs/images/{name}.png");
    }
    Ok(())
}

async fn serve(inbox: BoxInbox) -> Result<String> {
    let facts = || {
        vec![
            Fact::new("Inbox", "/var/lib/heygen/inbox.db"),
            Fact::new("Signing secrets", "2 in use"),
            Fact::new(
                "Registration",
                "https://hooks.example.com/webhooks/heygen, 1 secret from HeyGen",
            ),
            Fact::new("Disk", "47 GiB free of 252 GiB"),
        ]
    };
    let secrets = || {
        Secret::new(SECRET).map_or_else(
            |_| Vec::new(),
            |secret| vec![("signing secret 1 of 2".to_owned(), secret)],
        )
    };
    let router = Dashboard::new(inbox).facts(facts).secrets(secrets).router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// A day of a customer who makes videos: more by day than by night, some that fail, a handler that was down for a while. Gives
/// one delivery to look at.
async fn fill(inbox: &BoxInbox) -> Result<DeliveryId> {
    use EventType::{
        AvatarVideoCaptionSuccess, AvatarVideoFail, AvatarVideoSuccess, VideoAgentSuccess,
        VideoTranslateFail, VideoTranslateSuccess,
    };
    let now = SystemTime::now();
    let usual = [
        AvatarVideoSuccess,
        VideoTranslateSuccess,
        AvatarVideoSuccess,
        AvatarVideoCaptionSuccess,
        AvatarVideoSuccess,
        VideoAgentSuccess,
        AvatarVideoFail,
        AvatarVideoSuccess,
        VideoTranslateSuccess,
        AvatarVideoSuccess,
        VideoTranslateFail,
        AvatarVideoSuccess,
    ];
    let mut number = 0_u64;
    for hour in (0..24_u64).rev() {
        // Highest nine hours ago.
        let distance = hour.abs_diff(9).min(14);
        let count = 4 + (14 - distance) * 3 + (hour * 7) % 5;
        for place in 0..count {
            let event = usual[usize::try_from((number * 5 + hour) % 12).unwrap_or(0)].clone();
            let at = now
                - Duration::from_secs(hour * 3600 + 40 + (count - place) * (3300 / (count + 1)));
            let builder =
                EventBuilder::new(event).set("callback_id", format!("order-{}", 40_000 + number));
            append(inbox, at, builder).await?;
            number += 1;
        }
    }
    let last = EventBuilder::new(AvatarVideoSuccess)
        .set("callback_id", format!("order-{}", 40_000 + number));
    let id = append(inbox, now - Duration::from_secs(12), last).await?;
    complete(inbox, now, number).await?;
    Ok(id)
}

async fn append(inbox: &BoxInbox, at: SystemTime, builder: EventBuilder) -> Result<DeliveryId> {
    let body = builder.body();
    let signature = Secret::new(SECRET)?.sign(&body).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "HeyGen-Webhook/1.0"),
        ("signature", signature.as_str()),
    ];
    let headers = headers.map(|(name, value)| Header::new(name, value.as_bytes()));
    let delivery = NewDelivery::new(at, Source::Webhook, headers.into(), body);
    Ok(inbox.append(delivery).await?.id())
}

async fn complete(inbox: &BoxInbox, now: SystemTime, total: u64) -> Result<()> {
    let claim = inbox
        .claim(ClaimRequest::due(usize::try_from(total).unwrap_or(0), now))
        .await?;
    for (place, claimed) in claim.deliveries.iter().enumerate() {
        let started_at = claimed.received_at + Duration::from_millis(4);
        let took = Duration::from_micros(1800 + (place as u64 * 977) % 9000);
        let (result, detail) = match place {
            place if place % 97 == 50 => (
                AttemptOutcome::DeadLettered,
                Some("http://127.0.0.1:3000/heygen answered 410: no such order".to_owned()),
            ),
            place if place + 4 > claim.deliveries.len() => (
                AttemptOutcome::Retry,
                Some("http://127.0.0.1:3000/heygen answered 502: bad gateway".to_owned()),
            ),
            _ => (AttemptOutcome::Acknowledged, None),
        };
        let due_at = now + Duration::from_secs(40);
        let completion = Completion::new(claimed, started_at, took, result)
            .detail(detail)
            .due_at(due_at);
        inbox.complete(completion).await?;
    }
    let left = inbox.count(Query::default()).await?;
    println!("{left} deliveries");
    Ok(())
}

const SECRET: &str = "whsec_of_the_pictures";
