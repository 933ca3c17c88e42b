//! Pages of a list, and their opaque tokens.

use serde::Serialize;

use super::{api_error::ApiError, input::Params};
use crate::random;

/// Makes and reads tokens.
///
/// A token is valid for its list while the sandbox runs, even if items are deleted.
#[derive(Debug)]
pub(super) struct Tokens {
    /// A token is a position, masked with a random number of its list: it cannot be guessed, and is
    /// invalid for the other list.
    endpoints: u128,
    events: u128,
}

/// A list with pages.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    Endpoints,
    Events,
}

/// The page that a client requests.
#[derive(Debug)]
pub(super) struct PageRequest {
    list: List,
    limit: usize,
    /// The position of the last item of the page before.
    after: Option<u64>,
}

/// A page of a list.
///
/// # Wire shape
///
/// `{"data": […], "has_more": bool, "next_token": string|null}`, documented.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    next_token: Option<String>,
}

impl<T> Page<T> {
    /// The whole list.
    pub(super) fn whole(data: Vec<T>) -> Self {
        Self {
            data,
            has_more: false,
            next_token: None,
        }
    }
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            endpoints: random::wide_number(),
            events: random::wide_number(),
        }
    }

    /// Reads `limit` (1 to 100, default 10) and `token`.
    pub(super) fn request(&self, list: List, query: &Params) -> Result<PageRequest, ApiError> {
        let limit = match query.get(LIMIT).map(str::parse) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => {
                let message = "limit must be an integer from 1 to 100.";
                return Err(ApiError::invalid(LIMIT, message));
            }
        };
        let after = match query.get(TOKEN) {
            None => None,
            Some(token) => match self.read(list, token) {
                Some(position) => Some(position),
                None => return Err(ApiError::invalid(TOKEN, "token is not valid.")),
            },
        };
        Ok(PageRequest { list, limit, after })
    }

    /// Takes a page from a list whose items have positions, in rising or falling order.
    pub(super) fn page<T>(
        &self,
        request: &PageRequest,
        items: impl Iterator<Item = (u64, T)>,
    ) -> Page<T> {
        // By position, not by index: items may be deleted or added between two pages.
        let is_after = |position: u64| match (request.after, request.list) {
            (None, _) => true,
            (Some(last), List::Endpoints) => position > last,
            (Some(last), List::Events) => position < last,
        };
        let mut items = items.filter(|(position, _)| is_after(*position));
        let mut data = Vec::new();
        let mut last = None;
        for (position, item) in items.by_ref().take(request.limit) {
            data.push(item);
            last = Some(position);
        }
        let has_more = items.next().is_some();
        let last = last.filter(|_| has_more);
        Page {
            data,
            has_more,
            next_token: last.map(|position| self.token(request.list, position)),
        }
    }

    fn token(&self, list: List, position: u64) -> String {
        format!("{:032x}", self.mask(list) ^ u128::from(position))
    }

    fn read(&self, list: List, token: &str) -> Option<u64> {
        let masked = u128::from_str_radix(token, 16).ok()?;
        let position = u64::try_from(masked ^ self.mask(list)).ok()?;
        (self.token(list, position) == token).then_some(position)
    }

    fn mask(&self, list: List) -> u128 {
        match list {
            List::Endpoints => self.endpoints,
            List::Events => self.events,
        }
    }
}

const LIMIT: &str = "limit";
const TOKEN: &str = "token";
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    /// Reads a list to its end, two items per page.
    #[track_caller]
    fn check(list: List, positions: &[u64], expected: &[&[u64]]) {
        let tokens = Tokens::new();
        let mut query = "limit=2".to_owned();
        for page in expected {
            let uri = format!("/?{query}").parse().unwrap();
            let Query(params) = Query::try_from_uri(&uri).unwrap();
            let request = tokens.request(list, &params).unwrap();
            let items = positions.iter().map(|position| (*position, *position));
            let got = tokens.page(&request, items);
            assert_eq!(&got.data, page);
            assert_eq!(got.has_more, got.next_token.is_some());
            query = format!("limit=2&token={}", got.next_token.unwrap_or_default());
        }
        assert!(query.ends_with('='), "more pages than expected");
    }

    #[test]
    fn pages_have_every_item_once() {
        check(List::Endpoints, &[1, 4, 5], &[&[1, 4], &[5]]);
        check(List::Endpoints, &[1, 4], &[&[1, 4]]);
        check(List::Endpoints, &[], &[&[]]);
        check(List::Events, &[9, 8, 5, 2], &[&[9, 8], &[5, 2]]);
    }

    #[test]
    fn token_is_valid_only_for_its_list() {
        let tokens = Tokens::new();
        let token = tokens.token(List::Events, 7);
        assert_eq!(tokens.read(List::Events, &token), Some(7));
        assert_eq!(tokens.read(List::Endpoints, &token), None);
        assert_eq!(Tokens::new().read(List::Events, &token), None);
        assert_eq!(tokens.read(List::Events, "é7"), None);
        assert_eq!(tokens.read(List::Events, ""), None);
    }
}
