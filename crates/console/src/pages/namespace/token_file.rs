//! Kubeconfigs with a token in them, for tools that can run no plugin (contract T9): the form
//! that makes one on a namespace's page, and those of this namespace that open something.

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_accounts::SessionContext;
use remotegpu_control_plane::{
    Caller, CreateKubeconfigToken, CreatedKubeconfigToken, Read, create_kubeconfig_token,
    end_kubeconfig_token, list_kubeconfig_tokens,
};
use remotegpu_edge::{ApiError, FieldError, PathId, Visitor, rng};
use remotegpu_namespaces::{ClusterAccess, KubeconfigToken, Namespace, TokenLifetime};
use remotegpu_primitives::{KubeconfigTokenId, NamespaceId, PageRequest};

use super::{View, address, find, render};
use crate::{
    answer::{self, Answer},
    console::Console,
    done::Done,
    fields::SentForm,
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Reply, done_at},
    pages::shown_file::{self, Forms, ShownFile},
    parts::{
        button, dialog,
        field::hidden,
        list::{cell, table},
        time::relative,
    },
    refusal::Refusal,
};

/// For how long one is made, in seconds, and in words.
const LIFETIMES: [(&str, &str); 3] = [
    ("3600", "An hour"),
    ("1800", "Half an hour"),
    ("600", "Ten minutes"),
];

/// `POST /kubernetes/{namespace_id}/kubeconfig-token`
pub(crate) async fn create(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<NamespaceId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/kubeconfig-token").to_owned();
    let back = format!("{page}?token=1");
    let mut asked = once::asked::<Read>(&console, visitor, sent, &own, &back).await?;
    let typed = asked.fields.text("expires_in_seconds")?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    let namespace = find(&console, &caller, id).await?;
    let forms = Forms::of(&console, whom(&caller)?, asked.id()).await?;
    let frame = Frame::of(&console, &caller, &request).await?;
    let now = console.now();
    let lifetime = typed.parse().ok().and_then(TokenLifetime::from_seconds);
    let done = asked.once(&console, shown_file::spent, async |caller| {
        let lifetime = lifetime.ok_or_else(|| {
            let error = FieldError::new("expires_in_seconds", "must be a number from 600 to 3600");
            ApiError::field(error)
        })?;
        let wanted = CreateKubeconfigToken {
            lifetime,
            limit: console.config.kubeconfig_token_limit,
        };
        let ports = console.kubeconfig_token_ports(lifetime);
        let (namespace, random) = (&namespace, &mut rng());
        let made = create_kubeconfig_token(ports, caller, namespace, wanted, random, now).await?;
        Ok(Reply::Page(
            shown(&frame, &made, namespace, &forms, &page).into_string(),
        ))
    });
    match done.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                token: Some(typed),
                refusal: Some(&refusal),
                ..View::default()
            };
            let markup = render(&console, &caller, &request, &namespace, view).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

/// `POST /kubernetes/{namespace_id}/kubeconfig-token/{token_id}/end`
pub(crate) async fn end(
    console: web::Data<Console>,
    visitor: Visitor,
    namespace: PathId<NamespaceId>,
    id: PathId<KubeconfigTokenId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own
        .split("/kubeconfig-token/")
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut asked = once::asked::<Read>(&console, visitor, sent, &own, &page).await?;
    let fields = std::mem::take(&mut asked.fields);
    fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    let namespace = find(&console, &caller, namespace).await?;
    let (ports, now) = (&console.ports, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        let (tokens, signals) = (&*ports.kubeconfig_tokens, &*ports.signals);
        if let Some(id) = id.known() {
            // One that has ended meanwhile is what was wanted.
            end_kubeconfig_token(tokens, signals, caller, id, &mut rng(), now).await?;
        }
        Ok(Reply::SeeOther(page, Done::KubeconfigTokenEnded))
    });
    match done.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                refusal: Some(&refusal),
                ..View::default()
            };
            let markup = render(&console, &caller, &request, &namespace, view).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

/// The page with the file.
fn shown(
    frame: &Frame<'_>,
    made: &CreatedKubeconfigToken,
    namespace: &Namespace,
    forms: &Forms,
    page: &str,
) -> Markup {
    let file = ShownFile {
        filename: &made.filename,
        text: made.kubeconfig.reveal(),
        to: page,
    };
    let name = namespace.name.as_str();
    let head = Head {
        title: "Kubeconfig with a token",
        way: Some(
            html! { a href=(super::LIST) { "Kubernetes" } " / " a href=(page) { (name) } " /" },
        ),
        lead: None,
        action: None,
    };
    frame.page(Place::Kubernetes, &head, &shown_file::render(&file, forms))
}

/// The dialog that asks for how long.
pub(super) fn create_dialog(
    page: &str,
    own: &str,
    typed: &str,
    id: &str,
    refusal: Option<&Refusal>,
) -> Markup {
    dialog::open(
        "token",
        "Make a kubeconfig with a token",
        page,
        &html! {
            p { "Whoever has the file has what the token opens, until it ends. Take the other kind \
                 where a tool can run a plugin: it holds no secret." }
            (refusal_box(refusal, &[]))
            form method="post" action=(own) {
                (hidden(once::FIELD, id))
                div.field {
                    label for="field-expires" { "For how long" }
                    select id="field-expires" name="expires_in_seconds" autofocus {
                        @for (seconds, words) in LIFETIMES {
                            option value=(seconds) selected[seconds == typed] { (words) }
                        }
                    }
                }
                (dialog::actions(page, &button::submit("Make kubeconfig", "primary")))
            }
        },
    )
}

/// Those of this namespace that open something, as far as somebody may see them: each with the
/// form that ends it.
pub(super) struct Living(Vec<(KubeconfigToken, String, String)>);

impl Living {
    /// Nothing where the store does not say it.
    pub(super) async fn of(
        console: &Console,
        reader: &Caller<Read>,
        context: &SessionContext,
        namespace: NamespaceId,
    ) -> Result<Self, ApiError> {
        let tokens = &*console.ports.kubeconfig_tokens;
        let page = PageRequest::new(PageRequest::MAX_LIMIT, None)?;
        let all = list_kubeconfig_tokens(tokens, reader, page, console.now()).await?;
        let mut living = Vec::new();
        for token in all.items {
            if token.namespace_id == namespace {
                let own = format!("{}/kubeconfig-token/{}/end", address(namespace), token.id);
                let form = once::id_for(console, context, &own).await?;
                living.push((token, own, form));
            }
        }
        Ok(Self(living))
    }

    pub(super) fn section(
        &self,
        page: &str,
        context: &SessionContext,
        console: &Console,
    ) -> Markup {
        let now = console.now();
        html! {
            section aria-labelledby="tokens" {
                h2 id="tokens" { "Tools that can run no plugin" }
                p { "A kubeconfig with a token in it works everywhere, for an hour at the most. The file is a secret." }
                div.actions { (button::open(page, "token", "Make a kubeconfig with a token", "quiet")) }
                @if !self.0.is_empty() {
                    (table("Kubeconfigs with a token", &["Made", "By", "Opens", "Ends", ""], &html! {
                        @for (token, own, form) in &self.0 {
                            tr role="row" {
                                (cell("Made", &relative(token.created_at, now)))
                                (cell("By", &html! {
                                    @if token.created_by == context.user.id { "you" }
                                    @else { code { (token.created_by) } }
                                }))
                                (cell("Opens", &html! {
                                    @match token.access {
                                        ClusterAccess::Tenant => "the namespace",
                                        ClusterAccess::Viewer => "a look at all but secrets",
                                    }
                                }))
                                (cell("Ends", &relative(token.expires_at, now)))
                                (cell("", &html! {
                                    form.inline method="post" action=(own) {
                                        (hidden(once::FIELD, form))
                                        (button::submit("End now", "danger"))
                                    }
                                }))
                            }
                        }
                    }))
                }
            }
        }
    }
}
