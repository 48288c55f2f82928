//! The cluster conformance suite: what holds on every cluster.

mod baseline;
mod claims;
mod enforced;
mod guards;
mod identities;
mod inspection;
mod namespaces;
mod rights;
mod versions;

use std::{path::Path, time::Instant};

pub use versions::told as differences;

use crate::subject::Subject;

/// What the report says of a check.
trait Told {
    fn told(self) -> String;
}

impl Told for () {
    fn told(self) -> String {
        "ok".to_owned()
    }
}

/// Whether it ran, or what it lacked.
impl Told for Result<(), &'static str> {
    fn told(self) -> String {
        match self {
            Ok(()) => ().told(),
            Err(lacking) => format!("left out for want of {lacking}"),
        }
    }
}

/// Runs checks one after the other and notes what came of them.
macro_rules! check {
    ($checks:ident, $subject:ident: $($module:ident::$name:ident),* $(,)?) => {$(
        let began = Instant::now();
        println!("check {}", stringify!($name));
        let told = $module::$name($subject).await.told();
        println!("   {told} {} in {} ms", stringify!($name), began.elapsed().as_millis());
        $checks.push((stringify!($name), told));
    )*};
}

/// Runs all checks and says what came of each.
pub async fn run(subject: &Subject) -> Vec<(&'static str, String)> {
    let mut checks = Vec::new();
    check!(
        checks, subject:
        namespaces::cluster_is_unknown_until_it_was_asked,
        inspection::prepared_cluster_has_nothing_wrong,
        inspection::clock_that_is_off_is_told,
        inspection::missing_right_is_named_with_its_remedy,
        inspection::what_was_applied_and_changed_is_named,
        inspection::inspection_leaves_nothing_behind,
        claims::ports_answer_as_those_of_the_test_cluster,
        claims::claim_is_made_once_and_written_by_compare_and_set,
        claims::claim_that_may_not_be_read_is_told_apart_from_none,
        namespaces::namespace_is_provisioned_with_labels_and_again,
        namespaces::namespace_of_others_is_neither_adopted_nor_removed,
        namespaces::lost_labels_come_back,
        namespaces::namespace_is_removed_once_and_for_all,
        baseline::active_namespace_holds_the_whole_baseline,
        baseline::whatever_of_the_baseline_is_bent_or_gone_comes_back,
        baseline::bindings_of_the_account_are_put_right_where_they_are_bent,
        baseline::object_of_others_in_the_way_is_not_adopted,
        baseline::namespace_that_lost_its_label_is_still_ours,
        namespaces::survey_finds_what_is_ours_and_whether_it_is_whole,
        identities::token_opens_its_namespace_and_nothing_else,
        identities::readers_identity_is_bound_to_the_viewers_role,
        identities::token_without_identity_is_not_minted,
        identities::binding_away_is_403_and_account_away_is_401,
        identities::making_anew_revives_nothing,
        identities::another_uid_removes_nothing,
        identities::bent_binding_is_made_again,
        identities::identity_of_others_is_neither_used_nor_removed,
        identities::identity_that_lost_its_labels_is_not_taken_for_gone,
        identities::list_finds_every_identity,
        rights::tenant_may_work_and_reach_nothing_that_binds_it,
        rights::viewer_sees_and_changes_nothing,
        rights::members_may_what_their_role_says_in_their_accounts_namespaces,
        rights::tenant_is_refused_by_the_routes_themselves,
        rights::control_plane_has_no_right_that_it_does_not_need,
        rights::control_plane_outlives_its_token,
    );
    checks
}

/// The same for the checks of what only a whole control plane enforces.
pub async fn run_enforced(subject: &Subject, audit_log: &Path) -> Vec<(&'static str, String)> {
    let mut checks = Vec::new();
    check!(
        checks, subject:
        namespaces::what_holds_a_namespace_is_told,
        enforced::rights_of_a_tenant_are_those_of_the_golden_file,
        enforced::tenant_is_refused_whatever_leads_out_of_its_namespace,
        enforced::admission_refuses_what_no_right_tells_apart,
        enforced::nothing_that_a_tenant_makes_outlives_its_key,
        guards::guards_are_of_the_right_types,
        guards::machine_mounts_nothing_for_a_tenants_pod,
        guards::machine_connects_nowhere_for_a_tenants_pod,
        guards::scheduler_alone_places_a_tenants_pods,
        guards::pods_ask_of_the_scheduler_what_is_allowed,
        guards::pods_are_given_no_tolerations_later,
        guards::histories_of_workloads_are_bounded,
        guards::workload_that_is_older_than_the_guard_can_end,
        guards::limit_that_the_baseline_names_no_more_goes,
    );
    enforced::every_right_of_the_control_plane_is_used(audit_log);
    checks.push(("every_right_of_the_control_plane_is_used", ().told()));
    checks
}
