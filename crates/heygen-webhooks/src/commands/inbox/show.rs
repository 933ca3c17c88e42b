//! `inbox show`: one delivery, whole.

use super::json::kept_json;
use super::kept;
use super::text::delivery_text;
use crate::cli::Show;
use crate::failure::Failure;
use crate::output;
use crate::output::screen::Screen;

pub(super) async fn run(options: &Show) -> Result<(), Failure> {
    let kept = kept(&options.file, &options.id).await?;
    if options.raw {
        output::write_bytes(&kept.body)?;
    } else if options.json {
        output::json(&kept_json(&kept))?;
    } else {
        output::write_bytes(delivery_text(&kept, options.full, Screen::stdout()))?;
    }
    Ok(())
}
