//! [`Rules`]: chooses the handler of a delivery by the name of its event.

use std::fmt;

use crate::delivery::Delivery;
use crate::handler::{Disposition, Handler};
use crate::handlers::BoxHandler;

pub use heygen_events::{Pattern, PatternError, PatternErrorKind};

/// Chooses a handler by the name of the event. The first rule that matches wins.
///
/// A body that is not an event has the empty name. It matches only `*`, and otherwise goes to
/// [`otherwise`](Self::otherwise).
///
/// Each rule is a destination of its own, and so is [`otherwise`](Self::otherwise): each has its
/// own [`concurrency`](crate::DispatchOptions::concurrency), and one that hangs or asks for a pause
/// delays no other.
///
/// A delivery that no rule matches is dead-lettered with a reason that says so: it stays visible in
/// the inbox and can be replayed when there is a rule for it. To ignore such events, add
/// `.otherwise(async |_: Delivery| {})`.
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
///         println!("a job failed: {}", delivery.id());
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
    /// No rules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule after the others: events whose name matches go to this handler.
    #[must_use]
    pub fn on(mut self, pattern: Pattern, handler: impl Handler) -> Self {
        self.rules.push((pattern, BoxHandler::new(handler)));
        self
    }

    /// Deliveries that no rule matches go to this handler.
    #[must_use]
    pub fn otherwise(mut self, handler: impl Handler) -> Self {
        self.otherwise = Some(BoxHandler::new(handler));
        self
    }

    /// The index of the first rule that matches; the number of rules if none does.
    fn index(&self, name: &str) -> usize {
        let index = self
            .rules
            .iter()
            .position(|(pattern, _)| pattern.matches(name));
        index.unwrap_or(self.rules.len())
    }

    /// Every handler, by its index.
    fn handlers(&self) -> impl Iterator<Item = &BoxHandler> {
        let rules = self.rules.iter().map(|(_, handler)| handler);
        rules.chain(&self.otherwise)
    }
}

impl Handler for Rules {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let name = delivery.event_type().unwrap_or_default();
        match self.handlers().nth(self.index(name)) {
            Some(handler) => handler.handle(delivery).await,
            None if name.is_empty() => {
                Disposition::dead_letter("no rule matches a body that is not an event")
            }
            None => Disposition::dead_letter(format!("no rule matches {}", name.escape_debug())),
        }
    }

    fn destinations(&self) -> usize {
        let count: usize = self.handlers().map(BoxHandler::destinations).sum();
        count + usize::from(self.otherwise.is_none())
    }

    fn destination(&self, event_type: Option<&str>) -> usize {
        let index = self.index(event_type.unwrap_or_default());
        let before: usize = self
            .handlers()
            .take(index)
            .map(BoxHandler::destinations)
            .sum();
        let handler = self.handlers().nth(index);
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
