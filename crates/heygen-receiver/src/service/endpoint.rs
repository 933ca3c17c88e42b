//! [`Endpoint`]: the path of a request, which decides how it is authenticated.

use heygen_inbox::Source;

use crate::callback_tokens::CallbackTokens;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Endpoint {
    /// Authenticated by HeyGen's signature.
    Webhook,
    /// Authenticated by the token in the path.
    Callback,
}

impl Endpoint {
    /// `None` for a path that is not served. The path is neither stored nor logged: it may hold a
    /// token, or nearly one.
    ///
    /// A trailing slash makes no difference, in the request or in the options: people register
    /// either. Otherwise paths match exactly: nothing is decoded and no double slash is merged, so
    /// that the path a proxy checked is the path served here.
    pub(super) fn of(path: &str, own: Option<&str>, tokens: &CallbackTokens) -> Option<Self> {
        let path = without_trailing_slash(path);
        let own = own.map(without_trailing_slash);
        let token = match own {
            Some(own) if own == path => return Some(Self::Webhook),
            // Checked for every other path, so that a wrong token takes as long as any other path.
            Some(own) => path
                .strip_prefix(own)
                .and_then(|rest| rest.strip_prefix(CALLBACKS))
                .unwrap_or_default(),
            None => match path.rsplit_once(CALLBACKS) {
                Some((_, token)) if !token.contains('/') => token,
                Some(_) | None => return Some(Self::Webhook),
            },
        };
        let is_known = tokens.accepts(token);
        is_known.then_some(Self::Callback)
    }

    pub(super) fn source(self) -> Source {
        match self {
            Self::Webhook => Source::Webhook,
            Self::Callback => Source::Callback,
        }
    }
}

fn without_trailing_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

const CALLBACKS: &str = "/callbacks/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_by_the_options() {
        let token = "0123456789abcdefghijkl";
        let callback = |before: &str| format!("{before}/callbacks/{token}");
        let cases = [
            (Some("/hooks"), "/hooks".to_owned(), Some(Endpoint::Webhook)),
            (Some("/hooks"), callback("/hooks"), Some(Endpoint::Callback)),
            (
                Some("/hooks"),
                "/hooks/".to_owned(),
                Some(Endpoint::Webhook),
            ),
            (
                Some("/hooks/"),
                "/hooks".to_owned(),
                Some(Endpoint::Webhook),
            ),
            (
                Some("/hooks/"),
                "/hooks/".to_owned(),
                Some(Endpoint::Webhook),
            ),
            (Some("/hooks"), "/hooks//".to_owned(), None),
            (Some("/hooks"), "//hooks".to_owned(), None),
            (Some("/a/b"), "/a//b".to_owned(), None),
            (Some("/hooks"), "/hook%73".to_owned(), None),
            (Some("/hooks"), "/hooks%2F".to_owned(), None),
            (Some("/hooks"), "/HOOKS".to_owned(), None),
            (Some("/hooks"), "/hooks/./".to_owned(), None),
            (Some("/"), "/".to_owned(), Some(Endpoint::Webhook)),
            (Some("/"), "//".to_owned(), None),
            (Some("/"), "/x".to_owned(), None),
            (
                Some("/hooks"),
                callback("/hooks") + "/",
                Some(Endpoint::Callback),
            ),
            (
                Some("/hooks/"),
                callback("/hooks"),
                Some(Endpoint::Callback),
            ),
            (Some("/hooks"), callback("/hooks") + "//", None),
            (Some("/"), callback("") + "/", Some(Endpoint::Callback)),
            (Some("/hooks"), callback("/hooks") + "x", None),
            (Some("/hooks"), callback("/hooks/x"), None),
            (Some("/hooks"), callback(""), None),
            (Some("/hooks"), format!("/hooks/{token}"), None),
            (Some("/hooks"), "/hooks/callbacks/".to_owned(), None),
            (Some("/hooks"), "/hooks/callbacks".to_owned(), None),
            (Some("/"), callback(""), Some(Endpoint::Callback)),
            (None, "/any/where".to_owned(), Some(Endpoint::Webhook)),
            (None, "/callbacks".to_owned(), Some(Endpoint::Webhook)),
            (None, callback("/any/where"), Some(Endpoint::Callback)),
            (None, callback("/any/where") + "/", Some(Endpoint::Callback)),
            (None, callback("/any/where") + "x", None),
            (None, callback("/any/where") + "/x", Some(Endpoint::Webhook)),
        ];
        for (own, path, expected) in cases {
            let tokens = CallbackTokens::new([token]).expect("a token");
            assert_eq!(
                Endpoint::of(&path, own, &tokens),
                expected,
                "{own:?} {path}"
            );
        }
    }
}
