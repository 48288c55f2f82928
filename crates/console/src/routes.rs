//! All pages on one screen, each with what holds for it (contract H2).

use std::sync::Arc;

use actix_web::web;
use remotegpu_edge::{Credential, Csrf, ErrorShape, Front, RoutePolicy, Routes, WorkClass};

use crate::{
    assets,
    console::Console,
    pages::{
        access_token, access_tokens, account, api_key, api_keys, audit, error, first_password,
        invitation, kubernetes, member, members, namespace, service_user, service_user_tokens,
        service_users, shown_file, shown_key, shown_token, sign_in, sign_up, switch, theme,
    },
};

/// For who is signed in; who is not is led to the page for that, and back.
const PAGE: RoutePolicy = RoutePolicy {
    class: WorkClass::Other,
    csrf: Csrf::WithCookie,
    credentials: &[Credential::SessionCookie],
    body_limit: RoutePolicy::BODY_LIMIT,
    deadline: RoutePolicy::DEADLINE,
    no_store: true,
    errors: error::page,
};

/// A form. Whose session has ended gets the sign-in page with what they typed (contract H3).
const FORM: RoutePolicy = RoutePolicy {
    credentials: &[Credential::SessionCookie, Credential::Nothing],
    ..PAGE
};

/// The same, where a password is hashed.
const PASSWORD_FORM: RoutePolicy = RoutePolicy {
    class: WorkClass::Password,
    ..FORM
};

/// The same, where a kubeconfig of many clusters is sent.
const FILE_FORM: RoutePolicy = RoutePolicy {
    body_limit: 4 * RoutePolicy::BODY_LIMIT,
    ..FORM
};

/// The same, where a cluster is asked for a token.
const MINT_FORM: RoutePolicy = RoutePolicy {
    class: WorkClass::Mint,
    ..FORM
};

/// A page that anybody may see.
const OPEN: RoutePolicy = FORM;

/// A password is hashed, and who is signed in afterwards is not who was before.
const SIGN_IN: RoutePolicy = RoutePolicy {
    class: WorkClass::Password,
    csrf: Csrf::Always,
    ..OPEN
};

/// What sets a cookie without asking for one: another site's form comes without it.
const THEME: RoutePolicy = RoutePolicy {
    csrf: Csrf::Always,
    ..OPEN
};
const SIGN_OUT: RoutePolicy = THEME;

/// What is the same for everybody.
const ASSET: RoutePolicy = RoutePolicy {
    credentials: &[],
    no_store: false,
    ..PAGE
};

/// What the public listener serves beside the API. A path that nobody knows is shown to
/// browsers as a page, and to all others as `elsewhere` does.
pub fn front(console: &Arc<Console>, elsewhere: RoutePolicy) -> Front {
    let console = web::Data::from(Arc::clone(console));
    Front::new(move |routes| {
        let others: ErrorShape = elsewhere.errors;
        routes.state(console.clone());
        routes.state(web::Data::new(error::Others(others)));
        routes
            .get("/", OPEN, kubernetes::home)
            .get("/assets/{hash}/{name}", ASSET, assets::asset)
            // Who is calling.
            .get("/sign-in", OPEN, sign_in::show)
            .post("/sign-in", SIGN_IN, sign_in::send)
            .post("/sign-out", SIGN_OUT, sign_in::sign_out)
            .get("/first-password", PAGE, first_password::show)
            .post("/first-password", PASSWORD_FORM, first_password::send);
        #[cfg(debug_assertions)]
        routes.get("/console-parts", OPEN, crate::pages::all_parts::show);
        if console.config.sign_up_open {
            routes
                .get("/sign-up", OPEN, sign_up::show)
                .post("/sign-up", SIGN_IN, sign_up::send);
        }
        routes
            // Namespaces.
            .get("/kubernetes", PAGE, kubernetes::show)
            .post("/kubernetes", FORM, kubernetes::create)
            .get("/kubeconfig", PAGE, kubernetes::kubeconfig)
            .get("/kubernetes/{namespace_id}", PAGE, namespace::show)
            .post("/kubernetes/{namespace_id}/rename", FORM, namespace::rename)
            .post("/kubernetes/{namespace_id}/delete", FORM, namespace::delete)
            .get(
                "/kubernetes/{namespace_id}/kubeconfig",
                PAGE,
                namespace::kubeconfig,
            )
            .post(
                "/kubernetes/{namespace_id}/kubeconfig-token",
                MINT_FORM,
                namespace::token_file::create,
            )
            .post(
                "/kubernetes/{namespace_id}/kubeconfig-token/{token_id}/end",
                FORM,
                namespace::token_file::end,
            )
            .post("/settings/saved-kubeconfig", FORM, shown_file::saved)
            .post("/settings/download-kubeconfig", FORM, shown_file::download);
        keys_and_tokens(routes);
        machines(routes);
        routes
            // Who is in the account.
            .get("/settings/members", PAGE, members::show)
            .post("/settings/members", FORM, members::invite)
            .get("/settings/members/{user_id}", PAGE, member::show)
            .post(
                "/settings/members/{user_id}/role",
                FORM,
                member::change_role,
            )
            .post("/settings/members/{user_id}/remove", FORM, member::remove)
            .post("/settings/members/{user_id}/leave", FORM, member::leave)
            .post(
                "/settings/invitations/{invitation_id}/delete",
                FORM,
                members::delete_invitation,
            )
            .get("/invitations/{token}", OPEN, invitation::show)
            .post("/invitations/{token}", SIGN_IN, invitation::accept)
            .post(switch::SWITCH, FORM, switch::choose)
            // Who did what.
            .get("/settings/audit", PAGE, audit::show)
            .get("/settings/audit.csv", PAGE, audit::csv)
            // Oneself.
            .get("/settings/account", PAGE, account::show)
            .post(
                "/settings/account/password",
                PASSWORD_FORM,
                account::change_password,
            )
            .post("/settings/account/end-others", FORM, account::end_others)
            .post(
                "/settings/sessions/{session_id}/end",
                FORM,
                account::end_session,
            )
            .post("/settings/theme", THEME, theme::choose)
            .elsewhere("/assets/", ASSET)
            .elsewhere(
                "",
                RoutePolicy {
                    errors: error::page_or_other,
                    ..elsewhere
                },
            );
    })
}

/// What opens things and is shown once.
fn keys_and_tokens(routes: &mut Routes<'_>) {
    routes
        // API keys.
        .get("/settings/api-keys", PAGE, api_keys::show)
        .post("/settings/api-keys", FORM, api_keys::create)
        .get("/settings/api-keys/{key_id}", PAGE, api_key::show)
        .post("/settings/api-keys/{key_id}/update", FORM, api_key::update)
        .post("/settings/api-keys/{key_id}/rotate", FORM, api_key::rotate)
        .post("/settings/api-keys/{key_id}/revoke", FORM, api_key::revoke)
        .post("/settings/saved-key", FORM, shown_key::saved)
        .post("/settings/download-key", FORM, shown_key::download)
        // Access tokens.
        .get("/settings/access-tokens", PAGE, access_tokens::show)
        .post("/settings/access-tokens", FORM, access_tokens::create)
        .get(
            "/settings/access-tokens/{token_id}",
            PAGE,
            access_token::show,
        )
        .post(
            "/settings/access-tokens/{token_id}/delete",
            FORM,
            access_token::delete,
        )
        .post("/settings/saved-token", FORM, shown_token::saved)
        .post(
            "/settings/download-token-file",
            FILE_FORM,
            shown_token::download,
        );
}

/// Machines that manage (contract T8). Their pages stand beside the members', as a path there is
/// that of a member.
fn machines(routes: &mut Routes<'_>) {
    routes
        .post("/settings/service-users", FORM, service_users::create)
        .get(
            "/settings/service-users/{service_user_id}",
            PAGE,
            service_user::show,
        )
        .post(
            "/settings/service-users/{service_user_id}/update",
            FORM,
            service_user::update,
        )
        .post(
            "/settings/service-users/{service_user_id}/delete",
            FORM,
            service_user::delete,
        )
        .post(
            "/settings/service-users/{service_user_id}/tokens",
            FORM,
            service_user_tokens::create,
        )
        .post(
            "/settings/service-users/{service_user_id}/tokens/{token_id}/delete",
            FORM,
            service_user_tokens::delete,
        )
        .post(service_user_tokens::SAVED, FORM, service_user_tokens::saved);
}
