//! A handler by the types of typify.

use std::{env, fs};

use events::{AvatarVideoSuccessEvent, VideoTranslateFailEvent};

#[allow(warnings, reason = "generated")]
mod events {
    include!(concat!(env!("OUT_DIR"), "/events.rs"));
}

fn link(body: &str) -> serde_json::Result<Option<String>> {
    let name: serde_json::Value = serde_json::from_str(body)?;
    // typify does not read `const`, so the union does not tell the events apart: their name does.
    match name["event_type"].as_str() {
        Some("avatar_video.success") => {
            let event: AvatarVideoSuccessEvent = serde_json::from_str(body)?;
            println!("{:?}", event.event_data.video_id);
            Ok(event.event_data.url)
        }
        Some("video_translate.fail") => {
            let event: VideoTranslateFailEvent = serde_json::from_str(body)?;
            Ok(event.event_data.message)
        }
        _ => Ok(None),
    }
}

fn main() {
    let body = fs::read_to_string(env::args().nth(1).unwrap()).unwrap();
    println!("{:?}", link(&body));
}
