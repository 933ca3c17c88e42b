//! [`Page`], [`PageRequest`] and [`Listing`]: lists that come in parts.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::error::ApiError;
use crate::fields::Mismatch;

/// Which page of a list to request: the first, or the one that a token names.
///
/// # Wire shape
///
/// Query `limit` (1 to 100; HeyGen uses 10 when it is missing) and `token`.
///
/// # Source
///
/// HeyGen's API reference, “List Webhook Endpoints”, “List Webhook Events”: documented.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PageRequest {
    pub(crate) limit: Option<u32>,
    pub(crate) token: Option<String>,
}

impl PageRequest {
    /// The first page, with the length that HeyGen chooses.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the largest number of items, from 1 to 100. The server rejects others.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Continues after an earlier page, at its [`next_token`](Page::next_token).
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }
}

/// One page of a list.
///
/// # Wire shape
///
/// `{"data": [...], "has_more": bool, "next_token": string or null}`. A missing `has_more` is read
/// as `true` beside a token: assumed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Whether more pages follow, according to the server.
    pub has_more: bool,
    /// Names the next page.
    pub next_token: Option<String>,
    pub(crate) limit: Option<u32>,
}

impl<T> Page<T> {
    /// The request for the next page, with the same limit. `None` after the last page, and when the
    /// server announces more pages without a token.
    #[must_use]
    pub fn next_request(&self) -> Option<PageRequest> {
        let token = self.next_token.clone().filter(|_| self.has_more)?;
        Some(PageRequest {
            limit: self.limit,
            token: Some(token),
        })
    }
}

/// All items of a list: a [`Stream`] that fetches pages when they are needed.
///
/// Nothing follows an error. A list that cannot be read to its end is an error too: the server
/// announces more pages without a token, or repeats a token.
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: heygen_api::Client) -> Result<(), heygen_api::ApiError> {
/// let mut endpoints = client.v3().endpoints_stream();
/// while let Some(endpoint) = endpoints.next().await {
///     println!("{}", endpoint?.url);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Listing<T> {
    fetch: Box<Fetch<T>>,
    state: State<T>,
    /// Fetched and not yet returned.
    items: VecDeque<T>,
    seen: HashSet<String>,
}

type Fetch<T> = dyn Fn(PageRequest) -> Fetching<T> + Send;
type Fetching<T> = Pin<Box<dyn Future<Output = Result<Page<T>, ApiError>> + Send>>;

enum State<T> {
    Ready(PageRequest),
    Fetching(PageRequest, Fetching<T>),
    /// There is nothing more to fetch. The error, if any, follows the items.
    Ended(Option<ApiError>),
}

impl<T> Listing<T> {
    pub(crate) fn new<F>(
        first: PageRequest,
        fetch: impl Fn(PageRequest) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Page<T>, ApiError>> + Send + 'static,
    {
        Self {
            fetch: Box::new(move |request| Box::pin(fetch(request))),
            seen: first.token.iter().cloned().collect(),
            state: State::Ready(first),
            items: VecDeque::new(),
        }
    }

    /// The next item. It needs no `StreamExt`.
    ///
    /// Cancel safe: dropping the future loses no item.
    ///
    /// # Errors
    ///
    /// The item is an error when the list operation fails, and
    /// [`UnexpectedBody`](crate::ApiErrorKind::UnexpectedBody) when the list cannot be read to its
    /// end.
    pub async fn next(&mut self) -> Option<Result<T, ApiError>> {
        poll_fn(|context| self.poll_item(context)).await
    }

    /// Reads the list to its end and returns all items.
    ///
    /// # Errors
    ///
    /// The first error of [`next`](Self::next).
    pub async fn try_collect(mut self) -> Result<Vec<T>, ApiError> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await {
            items.push(item?);
        }
        Ok(items)
    }

    /// The page that is fetched next, to continue from it later. Items that are fetched and not yet
    /// returned are not part of it.
    #[must_use]
    pub fn next_request(&self) -> Option<&PageRequest> {
        match &self.state {
            State::Ready(request) | State::Fetching(request, _) => Some(request),
            State::Ended(_) => None,
        }
    }

    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, ApiError>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            match &mut self.state {
                State::Ready(request) => {
                    let fetching = (self.fetch)(request.clone());
                    self.state = State::Fetching(request.clone(), fetching);
                }
                State::Fetching(_, fetching) => match ready!(fetching.as_mut().poll(context)) {
                    Ok(page) => self.take(page),
                    Err(error) => self.state = State::Ended(Some(error)),
                },
                State::Ended(error) => return Poll::Ready(error.take().map(Err)),
            }
        }
    }

    fn take(&mut self, page: Page<T>) {
        self.state = match page.next_request() {
            Some(request) if self.is_new(&request) => State::Ready(request),
            Some(_) => State::Ended(Some(incomplete("repeats an earlier one"))),
            None if page.has_more => {
                State::Ended(Some(incomplete("is missing, and has_more is true")))
            }
            None => State::Ended(None),
        };
        self.items = page.items.into();
    }

    fn is_new(&mut self, request: &PageRequest) -> bool {
        request
            .token
            .as_ref()
            .is_some_and(|token| self.seen.insert(token.clone()))
    }
}

/// No field is structurally pinned.
impl<T> Unpin for Listing<T> {}

impl<T> Stream for Listing<T> {
    type Item = Result<T, ApiError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_item(context)
    }
}

impl<T> fmt::Debug for Listing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("next_request", &self.next_request())
            .field("fetched", &self.items.len())
            .finish_non_exhaustive()
    }
}

fn incomplete(what: &str) -> ApiError {
    ApiError::unexpected(&Mismatch::new("next_token", what))
}
