//! Emulations of vendors' authorization servers: each departs from the book as its profile says. They serve
//! tests of provider templates, and know nothing of these. There is one account, who agrees to everything.

mod answers;
mod book;
mod profile;
mod profiles;
mod requests;

pub use profile::{Answers, Body, ClientWay, Revoking, Rotation, VendorProfile, Whoami};
pub use profiles::vendor_profile;

use crate::listener::{self, Serving};
use answers::Answer;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use book::Book;
use bytes::Bytes;
use doorward_domain::Clock;
use http::{HeaderMap, Method, StatusCode, Uri};
use requests::Asked;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The client that every vendor knows.
pub const VENDOR_CLIENT: (&str, &str) = ("client-1", "secret-1");

/// A running emulation; dropping it ends it.
pub struct Vendor {
    shared: Arc<Shared>,
    base: String,
    _serving: Serving,
}

struct Shared {
    profile: VendorProfile,
    clock: Clock,
    base: String,
    inner: Mutex<Inner>,
}

struct Inner {
    book: Book,
    account: (String, String),
    log: Vec<String>,
    lose_answers: usize,
}

impl Vendor {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(profile: VendorProfile, clock: Clock) -> io::Result<Self> {
        let socket = listener::bind(([127, 0, 0, 1], 0).into()).await?;
        let base = format!("http://{}", socket.local_addr()?);
        let inner = Inner {
            book: Book::default(),
            account: ("17".to_owned(), "octo".to_owned()),
            log: Vec::new(),
            lose_answers: 0,
        };
        let shared = Arc::new(Shared { profile, clock, base: base.clone(), inner: Mutex::new(inner) });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        Ok(Self { _serving: listener::serve(socket, router), shared, base })
    }

    /// `http://127.0.0.1:port`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A template's text with every address of the vendor's at this emulation.
    pub fn moved(&self, template: &str) -> String {
        let mut parts = template.split("https://");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let path = part.find(['/', '"']).unwrap_or(part.len());
            format!("{text}{}{}", self.base, &part[path..])
        })
    }

    /// Who consents from now on: identifier and name.
    pub fn account(&self, id: &str, name: &str) {
        self.shared.with(|inner| inner.account = (id.to_owned(), name.to_owned()));
    }

    /// Whether an API of this vendor would take the token now.
    pub fn opens(&self, token: &str) -> bool {
        let now = self.shared.clock.now();
        self.shared.with(|inner| inner.book.lives(token, now).is_some_and(|grant| grant.opens_api))
    }

    /// Whether a refresh token would be taken now.
    pub fn renews(&self, token: &str) -> bool {
        let now = self.shared.clock.now();
        self.shared.with(|inner| inner.book.renews(token, now))
    }

    /// So many of the next token answers are processed and lost.
    pub fn lose_answers(&self, count: usize) {
        self.shared.with(|inner| inner.lose_answers = count);
    }

    /// What was asked: method, path, and for tokens the kind of grant.
    pub fn log(&self) -> Vec<String> {
        self.shared.with(|inner| inner.log.clone())
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(
    State(vendor): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked { method, uri, headers, body };
    vendor.with(|inner| inner.log.push(format!("{} {}", asked.method, asked.uri.path())));
    let path = asked.uri.path();
    let profile = &vendor.profile;
    let answer = if path == profile.authorize {
        requests::authorize(&vendor, &asked)
    } else if path == profile.token || profile.refresh == Some(path) {
        requests::token(&vendor, &asked)
    } else if profile.metadata.is_some_and(|(at, _)| at == path) {
        requests::metadata(&vendor)
    } else if profile.whoami.as_ref().is_some_and(|whoami| whoami.path == path) {
        requests::whoami(&vendor, &asked)
    } else if profile.revoking.is_at(path) {
        requests::revoke(&vendor, &asked)
    } else {
        Answer::Plain(StatusCode::NOT_FOUND, String::new())
    };
    answer.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::client;

    #[tokio::test]
    async fn a_vendor_answers_at_its_own_addresses_only() {
        let vendor = Vendor::start(VendorProfile::by_the_book(), Clock::System).await.unwrap();
        let at = |path: &str| client().get(format!("{}{path}", vendor.base())).send();
        assert_eq!(at("/nowhere").await.unwrap().status(), 404);
        let asked = "/authorize?response_type=code&client_id=client-1&code_challenge=x&code_challenge_method=S256&redirect_uri=http%3A%2F%2Flocalhost%2F&state=s";
        let consented = at(asked).await.unwrap();
        assert_eq!(consented.status(), 303);
        assert!(consented.headers()["location"].to_str().unwrap().contains("code="));
        assert_eq!(vendor.log(), ["GET /nowhere", "GET /authorize"]);
        assert!(!vendor.opens("x") && !vendor.renews("x"));
    }
}
