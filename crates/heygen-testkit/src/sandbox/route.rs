//! Which operation a request is for: one table of HeyGen's operations and the sandbox's own.

use http::Method;

use super::{control::Control, operation::Operation};

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
    /// An operation of HeyGen.
    Api(Operation),
    /// An operation of the sandbox itself.
    Control(Control),
}

/// What a method and a path lead to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found<'a> {
    /// A route, and the id that stands in its path.
    Route(Route, Option<&'a str>),
    /// The path takes other methods: the value of `Allow`.
    OtherMethod(String),
    /// Nothing has that path.
    Nothing,
}

/// Looks a request up.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let mut allowed = Vec::new();
    for (route, route_method, template) in table() {
        let Some(id) = matches(template, path) else {
            continue;
        };
        if method == route_method {
            return Found::Route(route, id);
        }
        allowed.push(route_method);
    }
    if allowed.is_empty() {
        Found::Nothing
    } else {
        Found::OtherMethod(allowed.join(", "))
    }
}

fn table() -> impl Iterator<Item = (Route, &'static str, &'static str)> {
    let api = Operation::ALL.iter().map(|operation| {
        let route = Route::Api(*operation);
        (route, operation.method(), operation.path())
    });
    let control = Control::TABLE
        .iter()
        .map(|(control, method, path)| (Route::Control(*control), *method, *path));
    api.chain(control)
}

/// Whether a path fits a template, and the id in it.
fn matches<'a>(template: &str, path: &'a str) -> Option<Option<&'a str>> {
    let mut id = None;
    let mut steps = path.split('/');
    for expected in template.split('/') {
        let step = steps.next()?;
        if expected.starts_with('{') && !step.is_empty() {
            id = Some(step);
        } else if expected != step {
            return None;
        }
    }
    steps.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, path: &str, expected: &Found<'_>) {
        assert_eq!(&find(method, path), expected);
    }

    #[test]
    fn requests_find_their_operation() {
        let api = |operation, id| Found::Route(Route::Api(operation), id);
        let endpoints = "/v3/webhooks/endpoints";
        check(&Method::POST, endpoints, &api(Operation::Create, None));
        check(&Method::GET, endpoints, &api(Operation::List, None));
        check(
            &Method::PATCH,
            "/v3/webhooks/endpoints/e1",
            &api(Operation::Update, Some("e1")),
        );
        check(
            &Method::POST,
            "/v3/webhooks/endpoints/e1/rotate-secret",
            &api(Operation::RotateSecret, Some("e1")),
        );
        check(
            &Method::GET,
            "/v1/webhook/webhook.list",
            &api(Operation::V1EventTypes, None),
        );
        check(
            &Method::GET,
            "/sandbox/state",
            &Found::Route(Route::Control(Control::State), None),
        );
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        let allow = |methods: &str| Found::OtherMethod(methods.to_owned());
        check(
            &Method::GET,
            "/v3/webhooks/endpoints/e1",
            &allow("PATCH, DELETE"),
        );
        check(&Method::PUT, "/v3/webhooks/endpoints", &allow("POST, GET"));
        check(&Method::POST, "/v1/webhook/endpoint.list", &allow("GET"));
        check(&Method::GET, "/v3/webhooks", &Found::Nothing);
        check(&Method::DELETE, "/v3/webhooks/endpoints/", &Found::Nothing);
        check(
            &Method::PATCH,
            "/v3/webhooks/endpoints/e1/x",
            &Found::Nothing,
        );
        check(&Method::GET, "/", &Found::Nothing);
    }
}
