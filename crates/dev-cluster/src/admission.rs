//! The one hook: `AdmissionReview` in, `AdmissionReview` out, for pods.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::error::{ApiError, ApiResult};
use crate::meta::{new_uid, text};
use crate::patch::PatchType;
use crate::rbac::User;
use crate::{PodAdmission, kinds};

/// The name under which the hook's refusals are reported, where a real webhook's would stand.
const NAME: &str = "pods.dev-cluster.local";

/// Asks the hook about a pod, applies its patch, and gives its warnings.
pub(crate) fn review(
    hook: &PodAdmission,
    user: &User,
    old: Option<&Value>,
    pod: &mut Value,
    dry_run: bool,
) -> ApiResult<Vec<String>> {
    let uid = new_uid();
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    let answer = hook(json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid, "kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource,
            "name": text(pod, "/metadata/name"), "namespace": text(pod, "/metadata/namespace"),
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": user.to_json(), "object": *pod, "oldObject": old, "dryRun": dry_run,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": if old.is_some() { "UpdateOptions" } else { "CreateOptions" }},
        },
    }));
    let response = &answer["response"];
    let failed = |why: &str| ApiError::internal(format!("failed calling webhook {NAME:?}: {why}"));
    if text(response, "/uid") != uid {
        return Err(failed("the response has another uid than the request"));
    }
    if response["allowed"] != true {
        let why = Some(text(response, "/status/message")).filter(|why| !why.is_empty());
        let why = why.map_or_else(
            || format!("admission webhook {NAME:?} denied the request without explanation"),
            |why| format!("admission webhook {NAME:?} denied the request: {why}"),
        );
        let code = response["status"]["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let code = code.filter(|code| (400..600).contains(code)).unwrap_or(403);
        let reason = Some(text(response, "/status/reason")).filter(|reason| !reason.is_empty());
        return Err(ApiError::new(code, reason.unwrap_or(if code == 403 { "Forbidden" } else { "" }), why));
    }
    if let Some(patch) = response["patch"].as_str() {
        let patch =
            base64::engine::general_purpose::STANDARD.decode(patch).map_err(|_| failed("the patch is no base64"))?;
        let patch = serde_json::from_slice(&patch).map_err(|_| failed("the patch is no JSON"))?;
        PatchType::Json.apply(pod, &patch).map_err(|error| failed(error.message()))?;
        crate::defaults::complete(kinds::by_plural("pods"), pod);
    }
    let warnings = response["warnings"].as_array().into_iter().flatten();
    Ok(warnings.filter_map(|warning| warning.as_str().map(str::to_owned)).collect())
}
