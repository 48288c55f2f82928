//! The cluster that the control plane itself runs in.

use std::path::Path;

use serde_json::json;

/// A kubeconfig for the cluster whose API server is at this host and port, as the
/// variables `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` of a pod say,
/// with the token and the certificate authority of the folder where the pod's
/// service account is mounted. It names the files: the token is read again once a
/// minute, because the kubelet replaces it before it ends.
pub fn in_cluster_kubeconfig(host: &str, port: u16, service_account: &Path) -> String {
    const NAME: &str = "in-cluster";
    // An IPv6 address stands in brackets in a URL.
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    // JSON is YAML.
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {
            "server": format!("https://{host}:{port}"),
            "certificate-authority": service_account.join("ca.crt"),
        }}],
        "users": [{"name": NAME, "user": {"tokenFile": service_account.join("token")}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_kubeconfig_names_the_files_and_holds_no_token() {
        let folder = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
        let read = |host: &str| -> Value {
            serde_saphyr::from_str(&in_cluster_kubeconfig(host, 443, folder)).unwrap()
        };
        let document = read("10.96.0.1");
        let cluster = &document["clusters"][0]["cluster"];
        assert_eq!(cluster["server"], "https://10.96.0.1:443");
        assert_eq!(
            cluster["certificate-authority"],
            "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
        );
        let user = &document["users"][0]["user"];
        assert_eq!(
            *user,
            json!({"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"})
        );
        let six = read("fd00::1");
        assert_eq!(
            six["clusters"][0]["cluster"]["server"],
            "https://[fd00::1]:443"
        );
    }
}
