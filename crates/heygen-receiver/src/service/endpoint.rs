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

    #[track_caller]
    fn check(own: Option<&str>, path: &str, expected: Option<Endpoint>) {
        let tokens = CallbackTokens::new([TOKEN]).expect("a token");
        let path = path.replace("<token>", TOKEN);
        assert_eq!(
            Endpoint::of(&path, own, &tokens),
            expected,
            "{own:?} {path}"
        );
    }

    const TOKEN: &str = "0123456789abcdefghijkl";

    #[test]
    fn paths_match_by_the_options() {
        let (webhook, callback) = (Some(Endpoint::Webhook), Some(Endpoint::Callback));
        for own in ["/hooks", "/hooks/"] {
            let check = |path, expected| check(Some(own), path, expected);
            check("/hooks", webhook);
            check("/hooks/", webhook);
            check("/hooks//", None);
            check("//hooks", None);
            check("/hook%73", None);
            check("/hooks%2F", None);
            check("/HOOKS", None);
            check("/hooks/./", None);
            check("/hooks/callbacks/<token>", callback);
            check("/hooks/callbacks/<token>/", callback);
            check("/hooks/callbacks/<token>//", None);
            check("/hooks/callbacks/<token>x", None);
            check("/hooks/x/callbacks/<token>", None);
            check("/callbacks/<token>", None);
            check("/hooks/<token>", None);
            check("/hooks/callbacks/", None);
            check("/hooks/callbacks", None);
        }
        check(Some("/a/b"), "/a//b", None);
        check(Some("/"), "/", webhook);
        check(Some("/"), "//", None);
        check(Some("/"), "/x", None);
        check(Some("/"), "/callbacks/<token>", callback);
        check(Some("/"), "/callbacks/<token>/", callback);
        check(None, "/any/where", webhook);
        check(None, "/callbacks", webhook);
        check(None, "/any/where/callbacks/<token>", callback);
        check(None, "/any/where/callbacks/<token>/", callback);
        check(None, "/any/where/callbacks/<token>x", None);
        check(None, "/any/where/callbacks/<token>/x", webhook);
    }
}
