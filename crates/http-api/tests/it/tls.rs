//! TLS and HTTP/2, with a client that is not ours.

use remotegpu_edge::{ExtraHost, ServerLimits, public_server};
use remotegpu_http_api::public_front;
use remotegpu_test_support::self_signed::self_signed;
use serde_json::json;
use tokio::process::Command;

use crate::world::{World, text};

#[tokio::test(flavor = "multi_thread")]
async fn http_2_names_its_host_in_the_target() {
    // C8
    let world = World::with(|config| {
        config.edge.extra_hosts = vec![ExtraHost::parse("localhost").unwrap()];
    })
    .await;
    let ada = world.person("ada").await;
    let key = text(&world.key(&ada, json!({"all": true})).await, "key");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let limits = ServerLimits {
        workers: 1,
        max_connections: 10,
        keep_alive: std::time::Duration::from_secs(75),
    };
    let (tls, _) = self_signed(["localhost"]);
    let fronts = vec![public_front(&world.api)];
    let (server, stopper) =
        public_server(world.edge.clone(), fronts, listener, Some(tls), limits).unwrap();
    let serving = tokio::spawn(server);
    let curl = async |version: &str, host: &str, method: &str| {
        let run = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--insecure",
                version,
                "--request",
                method,
                "--data",
                "{}",
            ])
            .args([
                "--write-out",
                "\n%{http_version} %{http_code}",
                "--max-time",
                "20",
            ])
            .args(["--header", &format!("x-api-key: {key}")])
            .args(["--connect-to", &format!("{host}:{port}:127.0.0.1:{port}")])
            .arg(format!("https://{host}:{port}/v1/auth/key"))
            .output()
            .await
            .unwrap();
        let out = String::from_utf8(run.stdout).unwrap();
        let problem = String::from_utf8(run.stderr).unwrap();
        out.rsplit_once('\n').unwrap().1.to_owned() + &problem
    };
    assert_eq!(curl("--http2", "localhost", "GET").await, "2 200");
    assert_eq!(curl("--http1.1", "localhost", "GET").await, "1.1 200");
    assert_eq!(curl("--http2", "evil.org", "GET").await, "2 421");
    assert_eq!(curl("--http2", "localhost", "POST").await, "2 405");
    stopper.stop().await;
    serving.await.unwrap().unwrap();
}
