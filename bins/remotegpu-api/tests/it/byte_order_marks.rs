//! Files as some editors write them, with a byte order mark before what was meant.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, Backend, Server, ServerOptions, foreign_cluster};

const MARK: &str = "\u{feff}";

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, format!("{MARK}{text}")).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn byte_order_mark_is_no_part_of_what_a_file_says() {
    // A10, R3
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| write(folder.path(), name, text);
    let (cluster, _) = foreign_cluster(folder.path()).await;
    let mut kubeconfig: Value = serde_saphyr::from_str(&cluster.admin_kubeconfig()).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
    let token = write("token", &format!("{token}\r\n"));
    kubeconfig["users"][0]["user"] = json!({"tokenFile": token});
    let ca = write("ca.crt", cluster.ca_pem());
    let known = &mut kubeconfig["clusters"][0]["cluster"];
    *known = json!({"server": known["server"], "certificate-authority": ca});
    let kubeconfig = write("eu.kubeconfig", &kubeconfig.to_string());

    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let cert = write("tls.crt", &made.cert.pem());
    let key = write("tls.key", &made.signing_key.serialize_pem());
    let password = write("password", &format!("{ADMIN_PASSWORD}\r\n"));
    let config = format!(
        "tls_cert = {cert:?}\ntls_key = {key:?}\ninitial_admin_password_file = {password:?}\n\
         [[clusters]]\nname = \"eu\"\nkubeconfig = {kubeconfig:?}\ncertificate_authority = {ca:?}\n"
    );
    let config = write("remotegpu.toml", &config);
    let mut options =
        ServerOptions::new(Backend::Sqlite).with("config", config.display().to_string());
    options.given_password = false;
    options.scheme = "https";
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    key.mint(&namespace).await.expect(200);
    let handed_out = person.kubeconfig(&namespace, "shell").await;
    let handed_out: Value = serde_saphyr::from_str(&handed_out).unwrap();
    let data = &handed_out["clusters"][0]["cluster"]["certificate-authority-data"];
    let data = STANDARD.decode(data.as_str().unwrap()).unwrap();
    assert!(data.starts_with(b"-----BEGIN"), "the mark is handed on");
    drop(server);
    cluster.stop().await;
}

#[test]
fn file_in_utf16_is_named_with_what_to_do() {
    // R3
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("remotegpu.toml");
    let text = format!("{MARK}sign_up = \"open\"\n");
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, bytes).unwrap();
    let arguments = [format!("--config={}", path.display()), "config".to_owned()];
    let output = crate::support::command(&arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("it is UTF-16; save it as UTF-8"), "{said}");
}
