//! What survives a restart, and what stops a start.

use remotegpu_dev_cluster::{DevCluster, DevClusterConfig, DevClusterError};
use serde_json::json;

use crate::actor::{start, start_in};

#[tokio::test(flavor = "multi_thread")]
async fn objects_tokens_and_certificates_survive_a_restart() {
    let world = start().await;
    world.admin.make_namespace("a").await;
    let bot = world.admin.account("a", "bot").await;
    world.admin.allow("a", "bot", json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}])).await;
    let (ca, admin_token) = (world.cluster.ca_pem().to_owned(), world.admin.token.clone());
    let (_, before) = world.admin.get("/api/v1/namespaces/a").await;
    world.cluster.stop().await;

    let world = start_in(world.folder, None).await;
    assert_eq!(world.cluster.ca_pem(), ca);
    assert_eq!(world.admin.token, admin_token);
    assert_eq!(world.admin.get("/api/v1/namespaces/a").await.1, before);
    let bot = world.admin.with_token(bot.token.as_deref());
    assert_eq!(bot.get("/api/v1/namespaces/a/configmaps").await.0, 200);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = start().await;
    for file in std::fs::read_dir(world.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn start_says_in_one_sentence_why_it_fails() {
    let world = start().await;
    let folder = tempfile::tempdir().unwrap();
    let free = ([127, 0, 0, 1], 0).into();
    let start = async |address, path: &std::path::Path| {
        let error = DevCluster::start(DevClusterConfig::new(address, path), None).await.err().unwrap();
        assert!(!error.to_string().contains('\n'));
        error
    };
    let taken = start(world.cluster.local_addr(), folder.path()).await;
    assert!(matches!(taken, DevClusterError::PortOccupied(_)), "{taken}");
    let in_use = start(free, world.folder.path()).await;
    assert!(matches!(in_use, DevClusterError::InUse(_)), "{in_use}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let unusable = start(free, &file).await;
    assert!(matches!(unusable, DevClusterError::Folder(..)), "{unusable}");
    std::fs::write(folder.path().join("identity.json"), "{}").unwrap();
    let corrupt = start(free, folder.path()).await;
    assert!(matches!(corrupt, DevClusterError::Corrupt(..)), "{corrupt}");
}
