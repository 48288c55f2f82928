//! `/settings/audit`: who did what.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use maud::{Markup, html};
use remotegpu_accounts::{AuditAction, AuditEvent, AuditFilter};
use remotegpu_control_plane::{Admin, Caller, list_audit_events};
use remotegpu_edge::{ApiError, FieldError, Query, SessionCaller};
use remotegpu_primitives::{PageRequest, is_unfit_in_a_name};
use time::{Date, OffsetDateTime, format_description::well_known::Iso8601};
use uuid::Uuid;

use crate::{
    answer::{self, Answer},
    console::Console,
    layout::{Frame, Head, Place},
    parts::{
        button,
        list::{address, cell, empty, more, table},
        time::{exact, relative},
    },
    refusal::Refusal,
};

const PAGE: &str = "/settings/audit";

/// How many events one file holds at the most.
const ROWS: usize = 10_000;

/// What stands in the address.
#[derive(Default)]
struct Asked {
    action: String,
    actor: String,
    subject: String,
    since: String,
    until: String,
}

impl Asked {
    fn read(query: &Query) -> Result<Self, ApiError> {
        let text = |name| Ok::<_, ApiError>(query.get(name)?.unwrap_or_default().into_owned());
        Ok(Self {
            action: text("action")?,
            actor: text("actor")?,
            subject: text("subject")?,
            since: text("since")?,
            until: text("until")?,
        })
    }

    fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("action", self.action.as_str()),
            ("actor", &self.actor),
            ("subject", &self.subject),
            ("since", &self.since),
            ("until", &self.until),
        ]
    }

    /// The address of a list of the same events.
    fn address(&self, page: &str) -> String {
        address(page, &self.pairs())
    }

    fn filter(&self) -> Result<AuditFilter, ApiError> {
        let mut wrong = Vec::new();
        let mut note = |name: &str, what: &str| wrong.push(FieldError::new(name, what));
        let action = match self.action.as_str() {
            "" => None,
            word => {
                let action = AuditAction::parse(word);
                if action.is_none() {
                    note("action", "must be one of the list");
                }
                action
            }
        };
        let mut id = |name: &str, text: &str| {
            if text.is_empty() {
                return None;
            }
            let id = Uuid::parse_str(text.trim()).ok();
            if id.is_none() {
                note(name, "must be an identifier, as events show it");
            }
            id
        };
        let (actor, subject) = (id("actor", &self.actor), id("subject", &self.subject));
        let mut day = |name: &str, text: &str| {
            if text.is_empty() {
                return None;
            }
            let day = Date::parse(text, &Iso8601::DATE).ok();
            let day = day.filter(|day| (1970..=9998).contains(&day.year()));
            if day.is_none() {
                note(name, "must be a date such as 2027-01-31");
            }
            day
        };
        let since = day("since", &self.since).map(|day| day.midnight().assume_utc());
        let until = day("until", &self.until).and_then(Date::next_day);
        let until = until.map(|day| day.midnight().assume_utc());
        if !wrong.is_empty() {
            return Err(crate::refusal::refusal_of(wrong));
        }
        Ok(AuditFilter {
            action,
            since,
            until,
            actor,
            subject,
        })
    }
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Admin>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let (asked, page) = (Asked::read(&query)?, query.page()?);
    match asked.filter() {
        Ok(filter) => {
            let events =
                list_audit_events(&*console.ports.audit_log, &caller, filter, page).await?;
            let list = listed(&events.items, console.now(), &asked, events.next);
            let markup = render(&console, &caller, &request, &asked, None, &list).await?;
            Ok(answer::page(&console, &request, markup))
        }
        Err(error) => {
            let refusal = Refusal::from(&error);
            let nothing = html! {};
            let markup = render(
                &console,
                &caller,
                &request,
                &asked,
                Some(&refusal),
                &nothing,
            )
            .await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

async fn render(
    console: &Console,
    caller: &Caller<Admin>,
    request: &HttpRequest,
    asked: &Asked,
    refusal: Option<&Refusal>,
    list: &Markup,
) -> Result<Markup, ApiError> {
    let content = html! {
        (filters(asked, refusal))
        (list)
    };
    let head = Head {
        title: "Settings / Audit",
        way: None,
        lead: Some("Who did what in this account, newest first."),
        action: Some(html! {
            a.button.quiet href=(asked.address("/settings/audit.csv")) { "Download CSV" }
        }),
    };
    let frame = Frame::of(console, caller, request).await?;
    Ok(frame.page(Place::Audit, &head, &content))
}

fn filters(asked: &Asked, refusal: Option<&Refusal>) -> Markup {
    let field = |name: &str, label: &str, control: &dyn Fn(&str, Option<&str>) -> Markup| {
        let id = format!("filter-{name}");
        let wrong = refusal.and_then(|refusal| refusal.of(name, label));
        let error = wrong.as_ref().map(|_| format!("{id}-error"));
        html! {
            div.field {
                label for=(id) { (label) }
                (control(&id, error.as_deref()))
                @if let Some(wrong) = wrong { p.error id=[&error] { (wrong) } }
            }
        }
    };
    let first = refusal.and_then(|refusal| refusal.fields.first());
    let is_first = |name: &str| first.is_some_and(|first| first.field == name);
    let text = |name: &str, label: &str, kind: &str, value: &str| {
        field(name, label, &|id, error| {
            html! {
                input id=(id) type=(kind) name=(name) value=(value) spellcheck="false" autofocus[is_first(name)]
                    aria-invalid=[error.map(|_| "true")] aria-describedby=[error];
            }
        })
    };
    html! {
        form.filters method="get" action=(PAGE) role="search" {
            (field("action", "Action", &|id, error| html! {
                select id=(id) name="action" autofocus[is_first("action")] aria-invalid=[error.map(|_| "true")] aria-describedby=[error] {
                    option value="" { "every action" }
                    @for action in AuditAction::ALL {
                        option value=(action.as_str()) selected[asked.action == action.as_str()] { (action.as_str()) }
                    }
                }
            }))
            (text("actor", "Actor", "text", &asked.actor))
            (text("subject", "Subject", "text", &asked.subject))
            (text("since", "From", "date", &asked.since))
            (text("until", "To", "date", &asked.until))
            div.actions { (button::submit("Show events", "quiet")) }
        }
    }
}

fn listed(
    events: &[AuditEvent],
    now: OffsetDateTime,
    asked: &Asked,
    next: Option<remotegpu_primitives::Cursor>,
) -> Markup {
    if events.is_empty() {
        return empty("Nothing of this kind has happened.", None);
    }
    html! {
        (table("Audit events", &["When", "Action", "Actor", "Subject", "Details", "Address", "Request"], &html! {
            @for event in events {
                @let (actor, actor_id) = event.actor.parts();
                @let (subject, subject_id) = event.subject.parts();
                tr role="row" {
                    (cell("When", &relative(event.occurred_at, now)))
                    (cell("Action", &html! { code { (fit(event.action.as_str())) } }))
                    (cell("Actor", &html! { span.pair { (fit(actor)) @if let Some(id) = actor_id { " " (linked("actor", id)) } } }))
                    (cell("Subject", &html! { span.pair { (fit(subject)) " " (linked("subject", subject_id)) } }))
                    (cell("Details", &html! { (details(event)) }))
                    (cell("Address", &html! { @if let Some(ip) = event.origin.ip { code { (ip) } } }))
                    (cell("Request", &html! { @if let Some(id) = &event.origin.request_id { code.long { (fit(id)) } } }))
                }
            }
        }))
        (more(&asked.address(PAGE), next))
    }
}

/// An identifier, short, that leads to the other events with it.
fn linked(filter: &str, id: Uuid) -> Markup {
    let whole = id.to_string();
    html! {
        a.id href=(format!("{PAGE}?{filter}={whole}")) title=(whole) { "…" (&whole[whole.len() - 6..]) }
    }
}

fn details(event: &AuditEvent) -> String {
    let told = &event.details;
    let mut parts = Vec::new();
    parts.extend(told.name.clone());
    parts.extend(told.prefix.clone());
    parts.extend(told.changed.as_ref().map(|changed| changed.join(", ")));
    parts.extend(told.role.as_ref().map(|role| role.as_str().to_owned()));
    parts.extend(told.token_id.as_ref().map(|id| format!("token {id}")));
    parts.extend(told.expires_at.map(|end| format!("ends {}", exact(end))));
    let old = told.old_secret_ends_at;
    parts.extend(old.map(|end| format!("the old secret ends {}", exact(end))));
    let limit = |of: &str, limit: Option<u32>| limit.map(|limit| format!("{of} {limit}"));
    parts.extend(limit("key limit", told.key_limit));
    parts.extend(limit("namespace limit", told.namespace_limit));
    fit(&parts.join(" · "))
}

/// What nobody can turn or break a line with (contract H7, K4).
fn fit(text: &str) -> String {
    text.chars().filter(|c| !is_unfit_in_a_name(*c)).collect()
}

pub(crate) async fn csv(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Admin>,
    query: Query,
) -> Answer {
    let filter = Asked::read(&query)?.filter()?;
    let mut file = row(&[
        "occurred_at",
        "action",
        "actor",
        "actor_id",
        "subject",
        "subject_id",
        "details",
        "ip",
        "request_id",
    ]);
    let (mut after, mut count) = (None, 0);
    while count < ROWS {
        let page = PageRequest::new(PageRequest::MAX_LIMIT, after).map_err(ApiError::from)?;
        let events = list_audit_events(&*console.ports.audit_log, &caller, filter, page).await?;
        count += events.items.len();
        for event in &events.items {
            file.push_str(&line(event));
        }
        after = events.next;
        if after.is_none() {
            break;
        }
    }
    if after.is_some() {
        let told = "There is more: this file ends after 10000 events. Narrow it by time";
        file.push_str(&row(&[told, "", "", "", "", "", "", "", ""]));
    }
    let attachment = "attachment; filename=\"audit.csv\"";
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .body(file))
}

fn line(event: &AuditEvent) -> String {
    let (actor, actor_id) = event.actor.parts();
    let (subject, subject_id) = event.subject.parts();
    let text = |value: Option<String>| value.unwrap_or_default();
    row(&[
        &exact(event.occurred_at),
        event.action.as_str(),
        actor,
        &text(actor_id.map(|id| id.to_string())),
        subject,
        &subject_id.to_string(),
        &details(event),
        &text(event.origin.ip.map(|ip| ip.to_string())),
        &text(event.origin.request_id.clone()),
    ])
}

/// A line of a CSV (RFC 4180). What a spreadsheet would take for a formula gets a `'`
/// before it (contract H7).
fn row(cells: &[&str]) -> String {
    let cell = |text: &&str| {
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let mark = if formula { "'" } else { "" };
        format!("\"{mark}{}\"", text.replace('"', "\"\""))
    };
    let cells: Vec<String> = cells.iter().map(cell).collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_ends_no_line() {
        // H7
        assert_eq!(
            row(&["a", "=1+1", "-x", "say \"hi\""]),
            "\"a\",\"'=1+1\",\"'-x\",\"say \"\"hi\"\"\"\r\n"
        );
        assert_eq!(fit("a\u{202E}b\nc"), "abc");
    }
}
