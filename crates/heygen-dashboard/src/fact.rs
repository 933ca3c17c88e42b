//! [`Fact`]: what the program around the pages knows, for the overview.

/// One thing that the program around the pages knows, and whether something is to be done about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fact {
    /// What it is about, such as `Signing secrets`.
    pub name: String,
    /// How it is.
    pub text: String,
    /// What to do about it; `None` when nothing is.
    pub advice: Option<String>,
}

impl Fact {
    /// All is well.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            advice: None,
        }
    }

    /// Something is to be done.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}
