//! [`Page`], [`PageRequest`] and [`Listing`]: lists that come in parts.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::error::ApiError;
use crate::fields::Mismatch;

/// Which part of a list is wanted: the first, unless there is a token.
///
/// # Wire shape
///
/// Query `limit` (1 to 100; HeyGen takes 10 when it is missing) and `token`.
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
    /// The first page, of the length that HeyGen chooses.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many items at most. The server refuses what it does not like: 1 to 100 is documented.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Starts where an earlier page ended: at its [`next_token`](Page::next_token).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }
}

/// One part of a list.
///
/// # Wire shape
///
/// `{"data": [...], "has_more": bool, "next_token": string or null}`. A missing `has_more` is read as `false`: assumed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// What the page holds.
    pub items: Vec<T>,
    /// Whether the server says that there is more.
    pub has_more: bool,
    /// Where the next page starts.
    pub next_token: Option<String>,
    pub(crate) limit: Option<u32>,
}

impl<T> Page<T> {
    /// Asks for the page after this one, with the same limit; `None` after the last, and where the server says that there is more
    /// and does not say where.
    #[must_use]
    pub fn next_request(&self) -> Option<PageRequest> {
        let token = self.next_token.clone().filter(|_| self.has_more)?;
        Some(PageRequest {
            limit: self.limit,
            token: Some(token),
        })
    }
}

/// All items of a list, fetched page by page as they are needed: a [`Stream`] that owns what it needs.
///
/// After an error nothing follows. A list that the server does not let us follow to its end (more announced without a token, or a
/// token that was there before) ends with an error too, so that a part is never taken for the whole.
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: heygen_api::Client) -> Result<(), heygen_api::ApiError> {
/// let mut endpoints = client.v3().endpoints_all();
/// while let Some(endpoint) = endpoints.next().await {
///     println!("{}", endpoint?.url);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Listing<T> {
    fetch: Box<Fetch<T>>,
    state: State<T>,
    /// Fetched and not yet handed out.
    items: VecDeque<T>,
    seen: HashSet<String>,
}

type Fetch<T> = dyn Fn(PageRequest) -> Fetching<T> + Send;
type Fetching<T> = Pin<Box<dyn Future<Output = Result<Page<T>, ApiError>> + Send>>;

enum State<T> {
    Ready(PageRequest),
    Fetching(PageRequest, Fetching<T>),
    /// Nothing more to fetch; the error, if any, comes behind the items.
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

    /// The next item, for those who have no `StreamExt` at hand.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Inside the item: what the list operation itself may give, and [`UnexpectedBody`](crate::ErrorKind::UnexpectedBody) where the
    /// list does not come to an end.
    pub async fn next(&mut self) -> Option<Result<T, ApiError>> {
        poll_fn(|context| self.poll_item(context)).await
    }

    /// All items at once.
    ///
    /// # Errors
    ///
    /// The first error, as of [`next`](Self::next).
    pub async fn into_vec(mut self) -> Result<Vec<T>, ApiError> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await {
            items.push(item?);
        }
        Ok(items)
    }

    /// The page that is fetched next, to go on from it another time. What is fetched and not yet handed out is before it.
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
            Some(_) => State::Ended(Some(not_whole("is one that was there before"))),
            None if page.has_more => {
                State::Ended(Some(not_whole("is missing, and has_more is true")))
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

/// Nothing in it is pinned in place.
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

fn not_whole(what: &str) -> ApiError {
    ApiError::unexpected(&Mismatch::new("next_token", what))
}
