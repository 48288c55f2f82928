//! `/console-parts`, of debug builds alone: every part in every state, the first place to
//! look after a change of style.

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_edge::{FieldError, Visitor};
use remotegpu_namespaces::QuotaUse;
use time::Duration;

use crate::{
    answer::{self, Answer},
    console::Console,
    layout::{Frame, Head, Place, refusal_box},
    parts::{
        button, code, dialog,
        field::{Field, radio_card},
        list::{cell, count, empty, table},
        quota,
        status::{Look, status},
        time::relative,
    },
    refusal::{Refusal, refusal_of},
};

pub(crate) async fn show(
    console: web::Data<Console>,
    Visitor(_): Visitor,
    request: HttpRequest,
) -> Answer {
    let wrong = FieldError::new("wrong", "must have 1 to 64 characters");
    let refusal = Refusal::from(&refusal_of(vec![wrong]));
    let whole = Refusal::conflict("The account's limit of active API keys is reached");
    let content = html! {
        (section("Buttons", &html! {
            div.actions {
                (button::submit("Create API key", "primary")) (button::submit("Rotate key", "quiet"))
                (button::submit("Revoke key", "danger"))
                button type="button" disabled aria-busy="true" { "Create API key" }
            }
        }))
        (section("Fields", &fields(&refusal)))
        (section("States", &html! {
            p { (status(Look::Well, "active")) } p { (status(Look::Waiting, "provisioning")) }
            p { (status(Look::Bad, "failed")) } p { (status(Look::Over, "revoked")) }
            p { span.tag.warn { "ends soon" } " " span.tag { "unused for 90 days" } }
        }))
        (section("Times", &html! {
            @for seconds in [0, 30, 3000, 30_000, 3_000_000, -7_776_000] {
                p { (relative(console.now() - Duration::seconds(seconds), console.now())) }
            }
        }))
        (section("Callouts", &html! {
            div.callout.notice { "A notice of the operator's." }
            div.callout.done { "The key was changed." }
            div.callout.warn { "The cluster is not available just now." }
            (refusal_box(Some(&whole), &[]))
        }))
        (section("Code", &html! {
            p { (code::copyable("one", "team-ml-x7k2pq")) }
            (code::block("lines", "sh, bash, zsh", "export KUBECONFIG=\"$HOME/Downloads/kubeconfig-team-ml.yaml\"\nkubectl get pods"))
        }))
        (section("Quotas", &quota::bars(&[
            quota("requests.cpu", "500m", "4"), quota("requests.nvidia.com/gpu", "8", "8"), quota("secrets", "0", "10"),
        ])))
        (section("Lists", &html! {
            (count(1, false, "key")) (count(50, true, "key"))
            (table("Keys", &["Name", "Prefix", ""], &html! {
                tr role="row" {
                    (cell("Name", &html! { "laptop" })) (cell("Prefix", &html! { code { "rgpu_AbCdEfGh" } }))
                    (cell("", &button::submit("Revoke key", "quiet")))
                }
            }))
            (empty("An API key opens inference and your namespaces to programs.", Some(&button::submit("Create API key", "primary"))))
        }))
        @if request.query_string() == "dialog" {
            (dialog::open("dialog", "Revoke API key", "/console-parts", &html! {
                p { "Calls with it fail from now on. This cannot be undone." }
                (dialog::actions("/console-parts", &button::submit("Revoke key", "danger")))
            }))
        }
    };
    let head = Head {
        title: "Parts",
        way: None,
        lead: Some("What pages are made of."),
        action: Some(html! { a.button.quiet href="/console-parts?dialog" { "Open dialog" } }),
    };
    let frame = Frame::for_nobody(&console, &request);
    let markup = frame.page(Place::Kubernetes, &head, &content);
    Ok(answer::page(&console, &request, markup))
}

fn section(title: &str, content: &Markup) -> Markup {
    html! { section { h2 { (title) } (content) } }
}

fn quota(resource: &str, used: &str, hard: &str) -> QuotaUse {
    QuotaUse {
        resource: resource.to_owned(),
        used: used.to_owned(),
        hard: hard.to_owned(),
    }
}

fn fields(refusal: &Refusal) -> Markup {
    html! {
        form.narrow {
            (Field { name: "plain", label: "Name", hint: Some("Where it will be used."), ..Field::default() }.render(None))
            (Field { name: "wrong", label: "Name", value: "x", ..Field::default() }.render(Some(refusal)))
            (Field { name: "password", label: "Password", kind: "password", ..Field::default() }.render(None))
            fieldset {
                legend { "Scope" }
                (radio_card("scope", ("inference", "Inference", "For programs that ask models."), true))
                (radio_card("scope", ("all", "All", "For your own machine."), false))
            }
        }
    }
}
