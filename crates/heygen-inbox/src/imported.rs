//! [`Imported`]: a delivery that another inbox had before, and what became of it there.

use crate::{Attempt, NewDelivery, Repeats, State};

#[cfg(feature = "import")]
mod line;

#[cfg(feature = "import")]
pub use line::LineError;

/// A delivery with its past, as another inbox tells of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Imported {
    /// What came in.
    pub delivery: NewDelivery,
    /// How far it had come there. What was claimed there is pending here.
    pub state: State,
    /// How often it was handed out there.
    pub handed_out: u32,
    /// Every handing-out that had ended there.
    pub attempts: Vec<Attempt>,
    /// How often it had come again there.
    pub repeats: Repeats,
    /// Whether to hand it out anew, whatever became of it there, with as many attempts as a new delivery has.
    pub is_replayed: bool,
}

impl Imported {
    /// A delivery that was never handed out.
    #[must_use]
    pub fn new(delivery: NewDelivery) -> Self {
        Self {
            delivery,
            state: State::Pending,
            handed_out: 0,
            attempts: Vec::new(),
            repeats: Repeats::default(),
            is_replayed: false,
        }
    }
}
