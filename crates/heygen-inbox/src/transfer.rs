//! Deliveries with their history as JSON lines, from one inbox to another: [`to_record`] writes
//! what [`Imported::from_line`](crate::Imported::from_line) reads, [`Lines`] reads lines of bounded
//! length.

mod line;
mod lines;

pub use line::{LineError, to_record};
pub use lines::{LONGEST_LINE, Line, Lines};
