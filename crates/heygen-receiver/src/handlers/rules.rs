//! [`Rules`]: which handler a delivery goes to, by the name of its event.

use std::fmt;

use crate::handlers::BoxHandler;
use crate::{Delivery, Handled, Handler};

pub use heygen_events::{Pattern, PatternError, PatternErrorKind};

/// Chooses a handler by the event's name: the first rule that matches is taken, and no other.
///
/// A body that is not an event has the empty name. It goes to a rule that matches everything (`*`), or to
/// [`otherwise`](Self::otherwise).
///
/// What no rule takes is dead, with a reason that says so: it stays visible in the inbox and can be handed out again once
/// there is a rule for it. Where some events are to be passed over in silence, say it: `.otherwise(async |_: Delivery| {})`.
///
/// # Examples
///
/// ```
/// use heygen_receiver::handlers::{PatternError, Rules};
/// use heygen_receiver::{Delivery, Handled};
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

    fn choose(&self, name: &str) -> Option<&BoxHandler> {
        let rule = self.rules.iter().find(|(pattern, _)| pattern.matches(name));
        rule.map(|(_, handler)| handler).or(self.otherwise.as_ref())
    }
}

impl Handler for Rules {
    async fn handle(&self, delivery: Delivery) -> Handled {
        let name = delivery.event().map_or("", |event| event.event_name());
        match self.choose(name) {
            Some(handler) => handler.handle(delivery).await,
            None if name.is_empty() => Handled::dead("no rule takes what is not an event"),
            None => Handled::dead(format!("no rule takes {}", name.escape_debug())),
        }
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
