//! [`Rules`]: which handler a delivery goes to, by the name of its event.

use std::fmt;

use crate::delivery::Delivery;
use crate::handler::{Disposition, Handler};
use crate::handlers::BoxHandler;

pub use heygen_events::{Pattern, PatternError, PatternErrorKind};

/// Chooses a handler by the event's name: the first rule that matches is taken, and no other.
///
/// A body that is not an event has the empty name. It goes to a rule that matches everything (`*`), or to
/// [`otherwise`](Self::otherwise).
///
/// Each rule is a destination of its own, and so is the handler of what no rule takes: each has its own
/// [`concurrency`](crate::DispatchOptions::concurrency), and one that hangs or asks for a pause holds up no other.
///
/// What no rule takes is dead, with a reason that says so: it stays visible in the inbox and can be handed out again once
/// there is a rule for it. Where some events are to be passed over in silence, say it: `.otherwise(async |_: Delivery| {})`.
///
/// # Examples
///
/// ```
/// use heygen_receiver::handlers::{PatternError, Rules};
/// use heygen_receiver::{Delivery, Disposition};
///
/// # fn rules() -> Result<Rules, PatternError> {
/// let rules = Rules::new()
///     .on("avatar_video.success".parse()?, async |delivery: Delivery| {
///         println!("a video is ready: {}", delivery.id());
///     })
///     .on("*.fail".parse()?, async |delivery: Delivery| {
///         println!("something was not made: {}", delivery.id());
///     })
///     .otherwise(async |_: Delivery| {});
/// # Ok(rules)
/// # }
/// # rules().unwrap();
/// ```
#[derive(Default)]
pub struct Rules {
    rules: Vec<(Pattern, BoxHandler)>,
    otherwise: Option<BoxHandler>,
}

impl Rules {
    /// No rule yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule behind those that are there: events whose name matches go to this handler.
    #[must_use]
    pub fn on(mut self, pattern: Pattern, handler: impl Handler) -> Self {
        self.rules.push((pattern, BoxHandler::new(handler)));
        self
    }

    /// What no rule takes goes to this handler.
    #[must_use]
    pub fn otherwise(mut self, handler: impl Handler) -> Self {
        self.otherwise = Some(BoxHandler::new(handler));
        self
    }

    /// Which rule takes events of that name; one more than there are for what none takes.
    fn place(&self, name: &str) -> usize {
        let place = self
            .rules
            .iter()
            .position(|(pattern, _)| pattern.matches(name));
        place.unwrap_or(self.rules.len())
    }

    /// Every handler, by its place.
    fn handlers(&self) -> impl Iterator<Item = &BoxHandler> {
        let rules = self.rules.iter().map(|(_, handler)| handler);
        rules.chain(&self.otherwise)
    }
}

impl Handler for Rules {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let name = delivery.event_type().unwrap_or_default();
        match self.handlers().nth(self.place(name)) {
            Some(handler) => handler.handle(delivery).await,
            None if name.is_empty() => {
                Disposition::dead_letter("no rule takes what is not an event")
            }
            None => Disposition::dead_letter(format!("no rule takes {}", name.escape_debug())),
        }
    }

    fn destinations(&self) -> usize {
        let taken: usize = self.handlers().map(BoxHandler::destinations).sum();
        taken + usize::from(self.otherwise.is_none())
    }

    fn destination(&self, event_type: Option<&str>) -> usize {
        let place = self.place(event_type.unwrap_or_default());
        let before: usize = self
            .handlers()
            .take(place)
            .map(BoxHandler::destinations)
            .sum();
        let handler = self.handlers().nth(place);
        before + handler.map_or(0, |handler| handler.destination(event_type))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<_> = self.rules.iter().map(|(pattern, _)| pattern).collect();
        f.debug_struct("Rules")
            .field("on", &patterns)
            .field("otherwise", &self.otherwise.is_some())
            .finish_non_exhaustive()
    }
}
