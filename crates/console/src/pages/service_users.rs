//! Service users on the page of members, and the form that makes one (contract T8).

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_accounts::{Role, ServiceUser, SessionContext};
use remotegpu_control_plane::{
    Admin, Caller, CreateServiceUser, Person, Read, create_service_user, list_service_users,
};
use remotegpu_edge::{ApiError, FieldError, Query, Visitor, rng};
use remotegpu_keys::KeyName;
use remotegpu_primitives::{Page, PageRequest, UserId};
use time::OffsetDateTime;

use super::members::{self, Open, View, role_cards};
use crate::{
    answer::{Answer, Stop},
    console::Console,
    done::Done,
    fields::{Fields, SentForm},
    layout::refusal_box,
    once::{self, Reply, done_at},
    parts::{
        button, dialog,
        field::{Field, hidden},
        list::{cell, count, empty, table},
        time::relative,
    },
    refusal::{Refusal, refusal_of},
};

/// Where the form is sent to, and below which each has its page.
const CREATE: &str = "/settings/service-users";

/// The page of one service user.
pub(super) fn address(id: UserId) -> String {
    format!("{CREATE}/{id}")
}

/// Which part of the list an address asks for.
pub(super) fn page(query: &Query) -> Result<PageRequest, ApiError> {
    let after = query.get("service-users-after")?;
    Ok(PageRequest::parse(None, after.as_deref())?)
}

/// What is typed into the form.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) role: String,
}

impl Draft {
    /// What an address says, for what is put back.
    pub(super) fn from_address(query: &Query) -> Result<Self, ApiError> {
        let (name, role) = (query.get("name")?, query.get("role")?);
        Ok(Self {
            name: name.map_or_else(String::new, Into::into),
            role: role.map_or_else(|| Role::Write.as_str().to_owned(), Into::into),
        })
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        Ok(Self {
            name: fields.text("name")?,
            role: fields.text("role")?,
        })
    }

    pub(super) fn judge(&self) -> Result<(KeyName, Role), ApiError> {
        let mut wrong = Vec::new();
        let name = KeyName::parse(&self.name)
            .map_err(|error| wrong.push(FieldError::from_refusal("name", &error)));
        let role = self.role.parse::<Role>();
        let role = role.map_err(|error| wrong.push(FieldError::from_refusal("role", &error)));
        match (name, role) {
            (Ok(name), Ok(role)) => Ok((name, role)),
            _ => Err(refusal_of(wrong)),
        }
    }

    pub(super) fn name_field(&self, refusal: Option<&Refusal>) -> Markup {
        Field {
            name: "name",
            label: "Name",
            value: &self.name,
            required: true,
            focus: true,
            max: Some(64),
            autocomplete: Some("off"),
            hint: Some("What it is: ci, Terraform, GitOps."),
            ..Field::default()
        }
        .render(refusal)
    }

    /// The dialog that the form stands in.
    pub(super) async fn dialog(
        &self,
        console: &Console,
        session: &SessionContext,
        refusal: Option<&Refusal>,
    ) -> Result<Markup, Stop> {
        let id = once::id_for(console, session, CREATE).await?;
        let submit = button::submit("Create service user", "primary");
        let form = html! {
            (refusal_box(refusal, &["name"]))
            form method="post" action=(CREATE) {
                (hidden(once::FIELD, &id))
                (self.name_field(refusal))
                (role_cards(&self.role))
                (dialog::actions(members::PAGE, &submit))
            }
        };
        Ok(dialog::open(
            "service-user",
            "Create service user",
            members::PAGE,
            &form,
        ))
    }
}

pub(crate) async fn create(
    console: web::Data<Console>,
    visitor: Visitor,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let back = format!("{}?service-user=1", members::PAGE);
    let mut asked = once::asked::<Person<Admin>>(&console, visitor, sent, CREATE, &back).await?;
    let draft = Draft::read(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    let (service_users, now) = (&*console.ports.service_users, console.now());
    let limit = console.config.service_user_limit;
    let done = asked.once(&console, done_at, async |caller| {
        let (name, role) = draft.judge()?;
        let wanted = CreateServiceUser { name, role, limit };
        let made = create_service_user(service_users, caller, wanted, &mut rng(), now).await?;
        let page = address(made.id);
        Ok(Reply::SeeOther(page, Done::ServiceUserCreated))
    });
    let done = done.await;
    let view = View::of(Open::ServiceUser(draft));
    members::shown(&console, done, &caller, &request, view).await
}

/// The section on the page of members.
pub(super) async fn section(
    console: &Console,
    admin: &Caller<Person<Admin>>,
    page: PageRequest,
) -> Result<Markup, Stop> {
    let is_first = page.after().is_none();
    let page = list_service_users(&*console.ports.service_users, admin, page).await?;
    let create = button::open(
        members::PAGE,
        "service-user",
        "Create service user",
        "quiet",
    );
    let nothing = page.items.is_empty() && is_first;
    Ok(html! {
        section aria-labelledby="service-users" {
            h2 id="service-users" { "Service users" }
            @if nothing {
                (empty("A service user is a machine that manages, with a role and tokens of its own: CI, Terraform, GitOps. There is none yet.", Some(&create)))
            } @else {
                (listed(&page, console.now()))
                div.actions { (create) }
            }
        }
    })
}

fn listed(page: &Page<ServiceUser>, now: OffsetDateTime) -> Markup {
    html! {
        (count(page.items.len(), page.next.is_some(), "service user"))
        (table("Service users", &["Name", "Role", "Made"], &html! {
            @for machine in &page.items {
                tr role="row" {
                    (cell("Name", &html! {
                        a href=(address(machine.id)) { (machine.name.as_str()) }
                    }))
                    (cell("Role", &html! { (machine.role.as_str()) }))
                    (cell("Made", &relative(machine.created_at, now)))
                }
            }
        }))
        @if let Some(next) = page.next {
            p.more {
                a.button.quiet href=(format!("{}?service-users-after={next}", members::PAGE)) {
                    "Load more service users"
                }
            }
        }
    }
}
