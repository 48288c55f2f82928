//! Somebody with a browser that runs no scripts.

use std::{collections::BTreeMap, sync::Mutex};

use reqwest::{
    Client, Method, RequestBuilder,
    header::{COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE, USER_AGENT},
};

use super::reader::{Form, Page};
use crate::support::{Answer, Person, Server, client};

pub const SESSION: &str = "remotegpu_session";

/// What browsers accept of pages.
pub const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[derive(Debug)]
pub struct Visitor {
    pub url: String,
    http: Client,
    cookies: Mutex<BTreeMap<String, String>>,
    agent: HeaderValue,
}

impl Visitor {
    /// Somebody who is not signed in.
    pub fn new(url: &str) -> Self {
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        Self {
            url: url.to_owned(),
            http: client(),
            cookies: Mutex::default(),
            agent: HeaderValue::from_static(agent),
        }
    }

    /// The same with another browser.
    pub fn with_agent(mut self, agent: &[u8]) -> Self {
        self.agent = HeaderValue::from_bytes(agent).unwrap();
        self
    }

    /// A person's browser: it has the session that they have.
    pub fn of(person: &Person) -> Self {
        let visitor = Self::new(&person.url);
        visitor.set_cookie(SESSION, &person.session_token);
        visitor
    }

    /// The same browser at another instance.
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            http: self.http.clone(),
            cookies: Mutex::new(self.cookies.lock().unwrap().clone()),
            agent: self.agent.clone(),
        }
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.lock().unwrap();
        cookies.insert(name.to_owned(), value.to_owned());
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// A request as this browser makes it, with what its cookies say.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        let request = self
            .http
            .request(method, url)
            .header("accept", HTML)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header(USER_AGENT, self.agent.clone());
        let cookies = self.cookies.lock().unwrap();
        if cookies.is_empty() {
            return request;
        }
        let pairs: Vec<String> = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        request.header(COOKIE, pairs.join("; "))
    }

    /// Sends it, keeps the cookies, and reads what comes.
    pub async fn read(&self, path: &str, request: RequestBuilder) -> Page {
        let response = request.send().await.unwrap();
        self.keep_cookies(response.headers());
        Page::new(path, Answer::read(response).await)
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap();
        for cookie in headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let mut parts = text.split(';').map(str::trim);
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let gone = |part: &str| part.eq_ignore_ascii_case("max-age=0");
            if parts.any(gone) {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// One page, whatever its status.
    pub async fn get(&self, path: &str) -> Page {
        let request = self.request(Method::GET, path);
        let request = request.header("sec-fetch-site", "same-origin");
        self.read(path, request).await
    }

    /// A page that is there.
    #[track_caller]
    pub fn open<'a>(&'a self, path: &'a str) -> impl Future<Output = Page> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let page = self.get(path).await;
            assert_eq!(page.status(), 200, "{caller}: {path}: {}", page.text());
            page
        }
    }

    /// Where a 303 leads, until something stands there.
    pub async fn follow(&self, mut page: Page) -> Page {
        for _ in 0..5 {
            if page.status() != 303 {
                return page;
            }
            let to = page.answer.headers[LOCATION].to_str().unwrap().to_owned();
            assert!(to.starts_with('/') && !to.starts_with("//"), "{to}");
            page = self.get(&to).await;
        }
        panic!("led on and on: {}", page.path);
    }

    /// A form as it is sent.
    pub fn posted(&self, form: &Form) -> RequestBuilder {
        self.request(Method::POST, &form.action)
            .header("origin", &self.url)
            .header("sec-fetch-site", "same-origin")
            .form(&form.fields())
    }

    /// Sends a form, and takes what comes.
    pub async fn submit(&self, form: &Form) -> Page {
        if form.method == "get" {
            let request = self.request(Method::GET, &form.action);
            let url = request.query(&form.fields()).build().unwrap().url().clone();
            let path = &url[url::Position::BeforePath..];
            return self.get(path).await;
        }
        assert_eq!(form.method, "post");
        self.read(&form.action, self.posted(form)).await
    }

    /// Sends a form, and looks where that leads.
    pub async fn send(&self, form: &Form) -> Page {
        let page = self.submit(form).await;
        self.follow(page).await
    }

    /// Presses the one button of this name on a page, and looks where that leads.
    pub async fn press(&self, page: &Page, button: &str) -> Page {
        self.send(&page.form(button)).await
    }
}

/// Somebody with an account of their own, as they call the API and as they browse.
pub async fn somebody(server: &Server, name: &str) -> (Person, Visitor) {
    let person = server.person(name).await;
    let visitor = Visitor::of(&person);
    (person, visitor)
}

/// Signs in on the page for that; the password is as `somebody` has it.
pub async fn sign_in(visitor: &Visitor, name: &str) -> Page {
    let page = visitor.open("/sign-in").await;
    let form = page
        .form("Sign in")
        .fill("E-mail", &format!("{name}@example.org"))
        .fill("Password", &format!("password of {name}"));
    visitor.send(&form).await
}

/// Makes a key of everything, and answers the page with its secret.
pub async fn make_key(visitor: &Visitor, name: &str) -> Page {
    let page = visitor.open("/settings/api-keys?create=1").await;
    let form = page.form("Create API key").fill("Name", name).choose("All");
    let made = visitor.submit(&form).await.expect(200);
    assert!(made.secret().starts_with("rgpu_"));
    made
}
