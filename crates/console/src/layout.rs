//! The frame of every page: the rail, the header row, notices.

use actix_web::{HttpRequest, cookie::Cookie, http::Method};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use remotegpu_accounts::{Account, Membership, Role, SessionContext, User};
use remotegpu_control_plane::{Caller, Right, list_own_accounts};
use remotegpu_edge::{ApiError, ErrorCode};
use remotegpu_namespaces::ClusterStatus;
use time::OffsetDateTime;

use crate::{
    assets,
    console::Console,
    done::Done,
    once,
    pages::switch::{SWITCH, without_account},
    parts::field::hidden,
    refusal::Refusal,
};

/// What a page is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Kubernetes,
    ApiKeys,
    AccessTokens,
    Members,
    Audit,
    Account,
}

/// A colour scheme that somebody chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
    System,
}

/// Where one signs out.
pub(crate) const SIGN_OUT: &str = "/sign-out";

pub(crate) const THEME_COOKIE: &str = "remotegpu_theme";

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::System];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::System => "system",
        }
    }

    pub(crate) fn of(request: &HttpRequest) -> Self {
        let cookie = request.cookie(THEME_COOKIE);
        let chosen = cookie.as_ref().map(Cookie::value);
        let mut all = Self::ALL.into_iter();
        all.find(|theme| Some(theme.word()) == chosen)
            .unwrap_or(Self::System)
    }
}

/// Who is signed in.
struct Who<'a> {
    user: &'a User,
    account: &'a Account,
    is_admin: bool,
    /// The identifier of the form that signs out.
    sign_out: String,
    /// What else they can act for, with the identifier of the form that does it.
    others: Option<(Vec<Membership>, String)>,
}

/// The session of whoever looks: pages are shown to people alone.
pub(crate) fn whom<R: Right>(caller: &Caller<R>) -> Result<&SessionContext, ApiError> {
    Ok(caller.session().ok_or(ErrorCode::MissingAccessToken)?)
}

/// What the frame needs to know of whoever looks.
pub(crate) struct Frame<'a> {
    console: &'a Console,
    who: Option<Who<'a>>,
    theme: Theme,
    path: String,
    done: Option<&'static str>,
}

impl<'a> Frame<'a> {
    /// For who is signed in.
    pub(crate) async fn of<R: Right>(
        console: &'a Console,
        caller: &'a Caller<R>,
        request: &HttpRequest,
    ) -> Result<Self, ApiError> {
        let context = whom(caller)?;
        let users = &*console.ports.users;
        let accounts = list_own_accounts(users, &caller.may()?).await?;
        let others = if accounts.len() > 1 {
            let free = without_account(context);
            Some((accounts, once::id_for(console, &free, SWITCH).await?))
        } else {
            None
        };
        Ok(Self {
            who: Some(Who {
                others,
                user: &context.user,
                account: &context.account,
                is_admin: context.allows(Role::Admin),
                sign_out: once::id_for(console, context, SIGN_OUT).await?,
            }),
            ..Self::for_nobody(console, request)
        })
    }

    /// For who is not.
    pub(crate) fn for_nobody(console: &'a Console, request: &HttpRequest) -> Self {
        Self {
            console,
            who: None,
            theme: Theme::of(request),
            path: seen_at(request),
            done: Done::said(request),
        }
    }

    /// Where nothing is known of the request.
    pub(crate) fn bare(console: &'a Console) -> Self {
        Self {
            console,
            who: None,
            theme: Theme::System,
            path: "/".to_owned(),
            done: None,
        }
    }

    /// A page of the console: its place, its title, one sentence on what it is, the one thing
    /// to do there, and its content.
    pub(crate) fn page(&self, place: Place, head: &Head<'_>, content: &Markup) -> Markup {
        self.document(
            head.title,
            &html! {
                @if let Some(who) = &self.who { (self.rail(place, who)) }
                main id="main" tabindex="-1" {
                    (self.notices())
                    header.head {
                        div {
                            @if let Some(way) = &head.way { p.way { (way) } }
                            h1 { (head.title) }
                            @if let Some(lead) = head.lead { p.lead { (lead) } }
                        }
                        @if let Some(action) = &head.action { div.action { (action) } }
                    }
                    (content)
                }
            },
        )
    }

    /// A page of one card, for who is not signed in, or not yet whole.
    pub(crate) fn card(&self, title: &str, content: &Markup) -> Markup {
        self.document(
            title,
            &html! {
                main.card id="main" tabindex="-1" {
                    (self.notices())
                    p.product { "RemoteGPU" }
                    h1 { (title) }
                    (content)
                    (self.theme_switch())
                    (support(self.console))
                }
            },
        )
    }

    fn document(&self, title: &str, body: &Markup) -> Markup {
        document(title, self.theme, Some(self.console.now()), body)
    }

    fn rail(&self, place: Place, who: &Who<'_>) -> Markup {
        let entry = |here: Place, address: &str, name: &str| {
            html! {
                li { a href=(address) aria-current=[(here == place).then_some("page")] { (name) } }
            }
        };
        html! {
            nav.rail aria-label="Console" {
                details.menu open {
                    summary { span.product { "RemoteGPU" } }
                    p.account { (who.account.name.as_str()) }
                    @if let Some((accounts, id)) = &who.others { (switcher(accounts, who.account, id)) }
                    ul {
                        (entry(Place::Kubernetes, "/kubernetes", "Kubernetes"))
                    }
                    h2 { "Settings" }
                    ul {
                        (entry(Place::ApiKeys, "/settings/api-keys", "API Keys"))
                        (entry(Place::AccessTokens, "/settings/access-tokens", "Access Tokens"))
                        (entry(Place::Members, "/settings/members", "Members"))
                        @if who.is_admin { (entry(Place::Audit, "/settings/audit", "Audit")) }
                        (entry(Place::Account, "/settings/account", "Account"))
                    }
                    div.foot {
                        p.user title=(who.user.email.as_str()) { (who.user.email.as_str()) }
                        form method="post" action=(SIGN_OUT) {
                            (hidden(once::FIELD, &who.sign_out))
                            button.quiet type="submit" { "Sign out" }
                        }
                        (self.theme_switch())
                        p { a href="/docs" { "API reference" } }
                        (support(self.console))
                    }
                }
            }
        }
    }

    fn theme_switch(&self) -> Markup {
        html! {
            form.theme method="post" action="/settings/theme" {
                input type="hidden" name="to" value=(self.path);
                fieldset {
                    legend.hidden { "Colours" }
                    @for theme in Theme::ALL {
                        button type="submit" name="theme" value=(theme.word())
                            aria-pressed=(if theme == self.theme { "true" } else { "false" }) {
                            (theme.word())
                        }
                    }
                }
            }
        }
    }

    fn notices(&self) -> Markup {
        let clusters = &self.console.ports.clusters;
        let down: Vec<String> = match &self.who {
            None => Vec::new(),
            Some(_) => clusters
                .list()
                .into_iter()
                .filter(|cluster| clusters.status(&cluster.name) == ClusterStatus::Unavailable)
                .map(|cluster| cluster.title)
                .collect(),
        };
        html! {
            (notice(self.console))
            @if let Some(done) = self.done {
                div.callout.done role="status" { (done) }
            }
            @for name in &down {
                div.callout.warn role="status" {
                    strong { "The cluster " (name) " is not available just now. " }
                    "Namespaces in it cannot be reached, and changes to them wait until it answers again."
                }
            }
        }
    }
}

/// The choice of the account that one acts for.
fn switcher(accounts: &[Membership], acts_for: &Account, id: &str) -> Markup {
    html! {
        form.switch method="post" action=(SWITCH) {
            (hidden(once::FIELD, id))
            label.hidden for="switch-account" { "Account" }
            select id="switch-account" name="account" {
                @for Membership { account, .. } in accounts {
                    option value=(account.id) selected[account.id == acts_for.id] {
                        (account.name.as_str())
                    }
                }
            }
            button.quiet type="submit" { "Switch" }
        }
    }
}

/// What the operator has everybody know (contract H7).
pub(crate) fn notice(console: &Console) -> Markup {
    html! {
        @if let Some(notice) = &console.config.notice {
            div.callout.notice role="status" { (notice) }
        }
    }
}

/// Where people find help (contract H7).
pub(crate) fn support(console: &Console) -> Markup {
    html! {
        @if let Some(url) = &console.config.support_url { p { a href=(url) { "Support" } } }
    }
}

/// The address of the page that somebody sees: of a form that came back, where it stands.
fn seen_at(request: &HttpRequest) -> String {
    let path = request.path();
    if request.method() == Method::POST {
        const ACTS: [&str; 10] = [
            "/rename",
            "/delete",
            "/update",
            "/rotate",
            "/revoke",
            "/password",
            "/end-others",
            "/role",
            "/remove",
            "/leave",
        ];
        if path.starts_with("/settings/invitations/") {
            return "/settings/members".to_owned();
        }
        let page = ACTS.iter().find_map(|act| path.strip_suffix(act));
        return page.unwrap_or(path).to_owned();
    }
    let whole = request.uri().path_and_query();
    whole.map_or(path, |whole| whole.as_str()).to_owned()
}

/// The header row of a page.
#[derive(Default)]
pub(crate) struct Head<'a> {
    pub(crate) title: &'a str,
    /// What it is part of, where the title does not say so.
    pub(crate) way: Option<Markup>,
    pub(crate) lead: Option<&'a str>,
    pub(crate) action: Option<Markup>,
}

/// A whole HTML document; `now` is what its times are told by.
pub(crate) fn document(
    title: &str,
    theme: Theme,
    now: Option<OffsetDateTime>,
    body: &Markup,
) -> Markup {
    let now = now.map(|now| now.unix_timestamp() * 1000);
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme.word()) data-now=[now] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · RemoteGPU" }
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::address("console.css"));
                script src=(assets::address("console.js")) defer {}
            }
            body {
                a.skip href="#main" { "Skip to content" }
                (body)
                div.toasts role="status" aria-live="polite" id="toasts" {}
            }
        }
    }
}

/// Why a form came back, where that is about no field of it alone.
pub(crate) fn refusal_box(refusal: Option<&Refusal>, shown: &[&str]) -> Markup {
    match refusal {
        Some(refusal) if !refusal.is_of(shown) => html! {
            div.callout.danger role="alert" tabindex="-1"
                autofocus[refusal.fields.first().is_none_or(|first| !shown.contains(&first.field.as_str()))] { (refusal.sentence) "." }
        },
        Some(_) | None => PreEscaped(String::new()),
    }
}
