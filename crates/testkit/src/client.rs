//! An HTTP client of one person, or of nobody: with an API token, or with a browser's session. It follows
//! no redirect, so that tests see each answer.

use doorward_demo::Demo;
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// A client of one Doorward.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    origin: String,
    bearer: Option<String>,
    /// The session cookie, `name=value`.
    cookie: Option<String>,
    /// What unsafe methods of a session need.
    csrf: Option<String>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The body as JSON; null where it is none.
    pub json: Value,
}

impl Answer {
    /// A header as text; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The field and the sentence of a problem (RFC 9457), after checking that it is a well-formed one.
    pub fn problem(&self) -> (Option<&str>, &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status, "{self:?}");
        assert!(self.json["type"].is_string() && self.json["title"].is_string(), "{self:?}");
        let detail = self.json["detail"].as_str().expect("a problem has a sentence");
        (self.json["field"].as_str(), detail)
    }
}

impl Client {
    /// A client without any credential.
    pub fn new(origin: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = http.build().expect("an HTTP client can be made");
        Self { http, origin: origin.to_owned(), bearer: None, cookie: None, csrf: None }
    }

    /// The same client with an API token.
    #[must_use]
    pub fn with_bearer(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    /// The same client with a session cookie, `name=value`, and the CSRF token that belongs to it.
    pub async fn with_session(mut self, cookie: &str) -> Self {
        self.cookie = Some(cookie.to_owned());
        let me = self.get("/me").await;
        self.csrf = me.json["csrf_token"].as_str().map(str::to_owned);
        self
    }

    /// What the session's forms carry in the field `csrf`.
    pub fn csrf(&self) -> &str {
        self.csrf.as_deref().expect("this client has a session")
    }

    /// The session cookie, `name=value`.
    pub fn cookie(&self) -> &str {
        self.cookie.as_deref().expect("this client has a session")
    }

    /// A request with this client's credential, to be completed. A session's comes from our own pages.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.origin));
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie).header("sec-fetch-site", "same-origin");
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        request
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let answer = request.send().await.expect("the server answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.expect("the answer is whole");
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, headers, text, json }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// A form of one of our own pages; the field `csrf` is added.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        fields.push(("csrf", self.csrf()));
        self.send(self.request(Method::POST, path).form(&fields)).await
    }

    /// The round trip through a demo's authorization server: the connect page's form, login and consent as
    /// an account, and the way back. Status and place of the last answer.
    pub async fn authorize(&self, slug: &str, demo: &Demo, account: &str) -> (u16, String) {
        let began = self.form(&format!("/connect/{slug}"), &[]).await;
        assert_eq!(began.status, 303, "{began:?}");
        let binding = began.headers[SET_COOKIE].to_str().expect("a cookie is text");
        let binding = binding.split(';').next().unwrap_or_default().to_owned();
        let back = self.consent(began.header(LOCATION.as_str()), demo, account).await;
        let path = back.strip_prefix(&self.origin).expect("the provider sends the browser back to us");
        let cookies = format!("{}; {binding}", self.cookie());
        let request = self.http.get(format!("{}{path}", self.origin)).header(COOKIE, cookies);
        let landed = self.send(request).await;
        (landed.status, landed.header(LOCATION.as_str()).to_owned())
    }

    /// Logs in and consents at a demo's authorization server; where it sends the browser.
    pub async fn consent(&self, authorization_url: &str, demo: &Demo, account: &str) -> String {
        let accounts = demo.authorization_server.accounts();
        let known = accounts.iter().find(|known| known.name == account).expect("the account exists");
        let fields = [("username", account), ("password", &known.password), ("decision", "allow")];
        let consented = self.send(self.http.post(authorization_url).form(&fields)).await;
        assert!(consented.headers.contains_key(LOCATION), "{consented:?}");
        consented.header(LOCATION.as_str()).to_owned()
    }
}
