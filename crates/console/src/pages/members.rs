//! `/settings/members`: who is in the account, and who is asked into it.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use remotegpu_accounts::{Email, Invitation, Member, Role};
use remotegpu_control_plane::{
    Admin, Caller, CreateInvitation, CreatedInvitation, Person, Read, Right, create_invitation,
    list_invitations, list_members,
};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, PathId, Query, SessionCaller, Visitor, rng};
use remotegpu_primitives::{InvitationId, Page, PageRequest, UserId};
use time::OffsetDateTime;

use super::service_users;
use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    done::Done,
    fields::SentForm,
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Reply, done_at},
    parts::{
        button, code, dialog,
        field::{Field, hidden, radio_card},
        list::{cell, count, more, table},
        time::relative,
    },
    refusal::{Refusal, at_field, refusal_of},
};

pub(crate) const PAGE: &str = "/settings/members";

/// The roles, with what each is for.
const ROLES: [(Role, &str, &str); 3] = [
    (
        Role::Read,
        "Read",
        "Sees what the account has, and changes nothing.",
    ),
    (
        Role::Write,
        "Write",
        "Also makes keys and namespaces, and deploys.",
    ),
    (
        Role::Admin,
        "Admin",
        "Also decides who is in the account, and sees who did what.",
    ),
];

/// What is typed into the form of an invitation.
pub(super) struct Draft {
    email: String,
    role: String,
}

impl Draft {
    fn new() -> Self {
        Self {
            email: String::new(),
            role: Role::Write.as_str().to_owned(),
        }
    }

    fn judge(&self, limit: u32) -> Result<CreateInvitation, ApiError> {
        let mut wrong = Vec::new();
        let email = Email::parse(&self.email)
            .map_err(|error| wrong.push(FieldError::from_refusal("email", &error)));
        let role = self.role.parse::<Role>();
        let role = role.map_err(|error| wrong.push(FieldError::from_refusal("role", &error)));
        match (email, role) {
            (Ok(email), Ok(role)) => Ok(CreateInvitation { email, role, limit }),
            _ => Err(refusal_of(wrong)),
        }
    }

    fn render(&self, refusal: Option<&Refusal>) -> Markup {
        html! {
            (Field {
                name: "email", label: "E-mail", kind: "email", value: &self.email, required: true,
                focus: true, hint: Some("Only who is this address can accept."),
                ..Field::default()
            }.render(refusal))
            (role_cards(&self.role))
        }
    }
}

/// The choice of a role.
pub(crate) fn role_cards(chosen: &str) -> Markup {
    html! {
        fieldset {
            legend { "Role" }
            @for (role, label, hint) in ROLES {
                (radio_card("role", (role.as_str(), label, hint), role.as_str() == chosen))
            }
        }
    }
}

/// The page of one member.
pub(crate) fn address(id: UserId) -> String {
    format!("{PAGE}/{id}")
}

fn deleting(id: InvitationId) -> String {
    format!("/settings/invitations/{id}/delete")
}

/// What stands in the dialog that is open.
pub(super) enum Open {
    Nothing,
    Invite(Draft),
    ServiceUser(service_users::Draft),
}

/// What the page shows beside its lists.
pub(super) struct View<'a> {
    open: Open,
    refusal: Option<&'a Refusal>,
    page: PageRequest,
    machines: PageRequest,
}

impl View<'_> {
    pub(super) fn of(open: Open) -> Self {
        Self {
            open,
            refusal: None,
            page: PageRequest::default(),
            machines: PageRequest::default(),
        }
    }
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let open = if query.get("invite")?.is_some() {
        let mut draft = Draft::new();
        // What was typed before a session ended is put back.
        if let Some(email) = query.get("email")? {
            draft.email = email.into_owned();
        }
        if let Some(role) = query.get("role")? {
            draft.role = role.into_owned();
        }
        Open::Invite(draft)
    } else if query.get("service-user")?.is_some() {
        Open::ServiceUser(service_users::Draft::from_address(&query)?)
    } else {
        Open::Nothing
    };
    let view = View {
        page: query.page()?,
        machines: service_users::page(&query)?,
        ..View::of(open)
    };
    let markup = render(&console, &caller, &request, view).await?;
    Ok(answer::page(&console, &request, markup))
}

pub(crate) async fn invite(
    console: web::Data<Console>,
    visitor: Visitor,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let back = format!("{PAGE}?invite=1");
    let mut asked = once::asked::<Person<Admin>>(&console, visitor, sent, PAGE, &back).await?;
    let draft = Draft {
        email: asked.fields.text("email")?,
        role: asked.fields.text("role")?,
    };
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    let (ports, now) = (&console.ports, console.now());
    let limit = console.config.invitation_limit;
    let frame = Frame::of(&console, &caller, &request).await?;
    let done = asked.once(&console, link_spent, async |caller| {
        let wanted = draft.judge(limit)?;
        let mut random = rng();
        let created = create_invitation(&*ports.invitations, caller, wanted, &mut random, now);
        let created = created
            .await
            .map_err(|error| at_field(error.into(), "email", ErrorCode::AlreadyInvited))?;
        let markup = link(&frame, &console, &created);
        Ok(Reply::Page(markup.into_string()))
    });
    let done = done.await;
    let view = View::of(Open::Invite(draft));
    shown(&console, done, &caller, &request, view).await
}

/// What is said when the form comes again after its answer was forgotten.
fn link_spent(at: OffsetDateTime) -> String {
    format!(
        "The link was shown at {:02}:{:02}; delete the invitation and make another",
        at.hour(),
        at.minute()
    )
}

/// The page with the link, which is nowhere else.
fn link(frame: &Frame<'_>, console: &Console, created: &CreatedInvitation) -> Markup {
    let (invitation, secret) = (&created.invitation, created.secret.reveal());
    let url = console.edge.public_url().as_str();
    let content = html! {
        div.secret data-secret {
            p { strong { "Copy the link now. " } "It is shown this once. Hand it to "
                strong { (invitation.email.as_str()) } " yourself: nobody else can accept it, and it ends "
                (relative(invitation.expires_at, console.now())) "." }
            (code::block("secret", "Invitation", &format!("{url}/invitations/{secret}")))
            div.actions { a.button.quiet href=(PAGE) { "Back to the members" } }
        }
    };
    let head = Head {
        title: "Invitation created",
        way: Some(html! { a href=(PAGE) { "Settings / Members" } " /" }),
        lead: None,
        action: None,
    };
    frame.page(Place::Members, &head, &content)
}

pub(crate) async fn delete_invitation(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<InvitationId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let asked = once::asked::<Person<Admin>>(&console, visitor, sent, &own, PAGE).await?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    let (ports, now) = (&console.ports, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        let (invitations, mut random) = (&*ports.invitations, rng());
        let id = id.known().ok_or(ErrorCode::NotFound)?;
        let deleted =
            remotegpu_control_plane::delete_invitation(invitations, caller, id, &mut random, now);
        deleted.await?;
        Ok(Reply::SeeOther(PAGE.to_owned(), Done::InvitationDeleted))
    });
    let view = View::of(Open::Nothing);
    shown(&console, done.await, &caller, &request, view).await
}

pub(super) async fn shown(
    console: &Console,
    done: Result<HttpResponse, Refusal>,
    caller: &Caller<Read>,
    request: &HttpRequest,
    view: View<'_>,
) -> Answer {
    match done {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                refusal: Some(&refusal),
                ..view
            };
            let markup = render(console, caller, request, view).await?;
            Ok(answer::refused(console, &refusal, markup))
        }
    }
}

async fn render<R: Right>(
    console: &Console,
    caller: &Caller<R>,
    request: &HttpRequest,
    view: View<'_>,
) -> Result<Markup, Stop> {
    let (reader, now) = (caller.may::<Person<Read>>()?, console.now());
    let members = list_members(&*console.ports.members, &reader, view.page).await?;
    let session = whom(caller)?;
    let admin = caller.may::<Person<Admin>>().ok();
    let mut invited = Vec::new();
    let mut machines = None;
    if let Some(admin) = &admin {
        machines = Some(service_users::section(console, admin, view.machines).await?);
        let all = PageRequest::new(PageRequest::MAX_LIMIT, None).map_err(ApiError::from)?;
        let listed = list_invitations(&*console.ports.invitations, admin, all, now).await?;
        for invitation in listed.items {
            let id = once::id_for(console, session, &deleting(invitation.id)).await?;
            invited.push((invitation, id));
        }
    }
    let form = match &view.open {
        Open::ServiceUser(draft) if admin.is_some() => {
            Some(draft.dialog(console, session, view.refusal).await?)
        }
        Open::Invite(draft) if admin.is_some() => {
            let id = once::id_for(console, session, PAGE).await?;
            Some(dialog::open(
                "invite",
                "Invite somebody",
                PAGE,
                &html! {
                    (refusal_box(view.refusal, &["email"]))
                    form method="post" action=(PAGE) {
                        (hidden(once::FIELD, &id))
                        (draft.render(view.refusal))
                        (dialog::actions(PAGE, &button::submit("Create invitation", "primary")))
                    }
                },
            ))
        }
        _ => None,
    };
    let content = html! {
        @if form.is_none() { (refusal_box(view.refusal, &[])) }
        section id="members" data-live="30" { (listed(&members, session.user.id, now)) }
        @if !invited.is_empty() { (invitations(&invited, now)) }
        @if let Some(machines) = machines { (machines) }
        @if let Some(form) = form { (form) }
    };
    let head = Head {
        title: "Settings / Members",
        way: None,
        lead: Some("Who is in this account, and what each may do."),
        action: admin.map(|_| button::open(PAGE, "invite", "Invite somebody", "primary")),
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::Members, &head, &content))
}

fn listed(page: &Page<Member>, own: UserId, now: OffsetDateTime) -> Markup {
    html! {
        (count(page.items.len(), page.next.is_some(), "member"))
        (table("Members", &["E-mail", "Role", "Joined"], &html! {
            @for member in &page.items {
                tr role="row" {
                    (cell("E-mail", &html! {
                        a href=(address(member.user_id)) { (member.email.as_str()) }
                        @if member.user_id == own { " " span.tag { "you" } }
                    }))
                    (cell("Role", &html! { (member.role.as_str()) }))
                    (cell("Joined", &relative(member.joined_at, now)))
                }
            }
        }))
        (more(PAGE, page.next))
    }
}

fn invitations(invited: &[(Invitation, String)], now: OffsetDateTime) -> Markup {
    html! {
        section aria-labelledby="invitations" {
            h2 id="invitations" { "Invitations" span.count { (invited.len()) } }
            (table("Invitations", &["E-mail", "Role", "Made", "Ends", ""], &html! {
                @for (invitation, id) in invited {
                    tr role="row" {
                        (cell("E-mail", &html! { (invitation.email.as_str()) }))
                        (cell("Role", &html! { (invitation.role.as_str()) }))
                        (cell("Made", &relative(invitation.created_at, now)))
                        (cell("Ends", &relative(invitation.expires_at, now)))
                        (cell("", &html! {
                            form.inline method="post" action=(deleting(invitation.id)) {
                                (hidden(once::FIELD, id))
                                button.quiet type="submit"
                                    aria-label=(format!("Delete invitation of {}", invitation.email)) {
                                    "Delete invitation"
                                }
                            }
                        }))
                    }
                }
            }))
        }
    }
}
