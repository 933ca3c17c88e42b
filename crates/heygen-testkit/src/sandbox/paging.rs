//! Pages of a list, and the opaque tokens that lead from one to the next.

use std::hash::{BuildHasher, RandomState};

use serde::Serialize;

use super::{input::Query, refusal::Refusal};
use crate::builder::random;

/// Makes tokens and reads its own back.
///
/// A token is good for the list it came from, as long as the sandbox lives, whatever is deleted meanwhile.
#[derive(Debug)]
pub(super) struct Tokens {
    keys: RandomState,
    mask: u64,
}

/// A list that comes in pages.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum List {
    Endpoints,
    Events,
}

/// The part of a list that a client asks for.
#[derive(Debug)]
pub(super) struct PageRequest {
    list: List,
    limit: usize,
    /// The position of the last item that the client has.
    after: Option<u64>,
}

/// A list, or a part of one.
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
    /// All there is.
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
            keys: RandomState::new(),
            mask: random(),
        }
    }

    /// Reads `limit` (1 to 100, default 10) and `token`.
    pub(super) fn request(&self, list: List, query: &Query) -> Result<PageRequest, Refusal> {
        let limit = match query.get(LIMIT).map(str::parse) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => {
                let message = "limit must be an integer from 1 to 100.";
                return Err(Refusal::invalid(LIMIT, message));
            }
        };
        let after = match query.get(TOKEN) {
            None => None,
            Some(token) => match self.read(list, token) {
                Some(position) => Some(position),
                None => return Err(Refusal::invalid(TOKEN, "token is not valid.")),
            },
        };
        Ok(PageRequest { list, limit, after })
    }

    /// Cuts a page out of a list whose items carry their positions, in rising or falling order.
    pub(super) fn page<T>(
        &self,
        request: &PageRequest,
        items: impl Iterator<Item = (u64, T)>,
    ) -> Page<T> {
        // Not a place in the list but an order: items may have been deleted or added since the last page.
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
        let check = self.keys.hash_one((list, position));
        format!("{check:016x}{:016x}", position ^ self.mask)
    }

    fn read(&self, list: List, token: &str) -> Option<u64> {
        let masked = u64::from_str_radix(token.get(16..)?, 16).ok()?;
        let position = masked ^ self.mask;
        (self.token(list, position) == token).then_some(position)
    }
}

const LIMIT: &str = "limit";
const TOKEN: &str = "token";
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks a list to its end, by two.
    #[track_caller]
    fn check(list: List, positions: &[u64], expected: &[&[u64]]) {
        let tokens = Tokens::new();
        let mut query = "limit=2".to_owned();
        for page in expected {
            let request = tokens.request(list, &Query::read(&query)).unwrap();
            let items = positions.iter().map(|position| (*position, *position));
            let got = tokens.page(&request, items);
            assert_eq!(&got.data, page);
            assert_eq!(got.has_more, got.next_token.is_some());
            query = format!("limit=2&token={}", got.next_token.unwrap_or_default());
        }
        assert!(query.ends_with('='), "more pages than expected");
    }

    #[test]
    fn pages_follow_each_other() {
        check(List::Endpoints, &[1, 4, 5], &[&[1, 4], &[5]]);
        check(List::Endpoints, &[1, 4], &[&[1, 4]]);
        check(List::Endpoints, &[], &[&[]]);
        check(List::Events, &[9, 8, 5, 2], &[&[9, 8], &[5, 2]]);
    }

    #[test]
    fn a_token_is_good_for_its_own_list_alone() {
        let tokens = Tokens::new();
        let token = tokens.token(List::Events, 7);
        assert_eq!(tokens.read(List::Events, &token), Some(7));
        assert_eq!(tokens.read(List::Endpoints, &token), None);
        assert_eq!(Tokens::new().read(List::Events, &token), None);
        assert_eq!(tokens.read(List::Events, "é7"), None);
        assert_eq!(tokens.read(List::Events, ""), None);
    }
}
