//! [`Way`]: by which path a request came, and so what has to vouch for it.

use heygen_inbox::Source;

use crate::ReceiverOptions;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// HeyGen's signature has to.
    Webhook,
    /// The token in the path has.
    Callback,
}

impl Way {
    /// `None` for a path that is none of ours. Nothing here keeps or tells the path: it may hold a token, or nearly one.
    pub(super) fn of(path: &str, options: &ReceiverOptions) -> Option<Self> {
        let token = match &options.path {
            Some(own) if own == path => return Some(Self::Webhook),
            // Looked up for every other path, so that a wrong token takes as long as what has nothing to do with us.
            Some(own) => path
                .strip_prefix(own.trim_end_matches('/'))
                .and_then(|rest| rest.strip_prefix(CALLBACKS))
                .unwrap_or_default(),
            None => match path.rsplit_once(CALLBACKS) {
                Some((_, token)) if !token.contains('/') => token,
                Some(_) | None => return Some(Self::Webhook),
            },
        };
        let is_known = options.callback_tokens.accepts(token);
        is_known.then_some(Self::Callback)
    }

    pub(super) fn source(self) -> Source {
        match self {
            Self::Webhook => Source::Webhook,
            Self::Callback => Source::Callback,
        }
    }
}

const CALLBACKS: &str = "/callbacks/";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallbackTokens;

    #[test]
    fn paths_lead_where_the_options_say() {
        let token = "0123456789abcdefghijkl";
        let callback = |before: &str| format!("{before}/callbacks/{token}");
        let cases = [
            (Some("/hooks"), "/hooks".to_owned(), Some(Way::Webhook)),
            (Some("/hooks"), callback("/hooks"), Some(Way::Callback)),
            (Some("/hooks"), callback("/hooks") + "/", None),
            (Some("/hooks"), callback("/hooks") + "x", None),
            (Some("/hooks"), callback("/hooks/x"), None),
            (Some("/hooks"), callback(""), None),
            (Some("/hooks"), format!("/hooks/{token}"), None),
            (Some("/hooks"), "/hooks/callbacks/".to_owned(), None),
            (Some("/"), callback(""), Some(Way::Callback)),
            (None, "/any/where".to_owned(), Some(Way::Webhook)),
            (None, "/callbacks".to_owned(), Some(Way::Webhook)),
            (None, callback("/any/where"), Some(Way::Callback)),
            (None, callback("/any/where") + "x", None),
            (None, callback("/any/where") + "/x", Some(Way::Webhook)),
        ];
        for (own, path, expected) in cases {
            let options = ReceiverOptions {
                path: own.map(str::to_owned),
                callback_tokens: CallbackTokens::new([token]).expect("a token"),
                ..ReceiverOptions::default()
            };
            assert_eq!(Way::of(&path, &options), expected, "{own:?} {path}");
        }
    }
}
