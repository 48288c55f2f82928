//! PostgreSQL over TLS, with real handshakes.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use remotegpu_storage::{Database, DatabaseOptions, OpenError};
use remotegpu_test_support::postgres::{TestDatabase, TestPostgres};
use tempfile::TempDir;

/// An authority, and its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(name).with_extension("pem");
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, file }
    }

    /// A server whose certificate is for this host.
    fn server(&self, host: &str, ended: bool) -> (TestPostgres, TestDatabase) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        if ended {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let server = TestPostgres::private_with_tls(&certificate, &key.serialize_pem()).unwrap();
        let database = server.create_database().unwrap();
        (server, database)
    }
}

fn authorities() -> (TempDir, Authority, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (
        Authority::new(folder.path(), "good"),
        Authority::new(folder.path(), "other"),
    );
    (folder, good, other)
}

fn url(database: &TestDatabase, mode: &str, roots: &Path) -> String {
    format!(
        "{}?sslmode={mode}&sslrootcert={}",
        database.url(),
        roots.display()
    )
}

async fn connect(url: &str) -> Result<Database, OpenError> {
    Database::connect(url, DatabaseOptions::default()).await
}

/// Everything that a refusal says.
async fn refused(url: &str) -> String {
    let error = connect(url).await.err().unwrap();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    let mut said = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(error) = next {
        said = format!("{said}: {error}");
        next = error.source();
    }
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_the_right_certificate_is_spoken_to_in_secret() {
    let (_folder, good, other) = authorities();
    let (_server, database) = good.server("127.0.0.1", false);
    for mode in ["require", "verify-ca", "verify-full"] {
        let store = connect(&url(&database, mode, &good.file)).await.unwrap();
        store.migrate().await.unwrap();
        store.ping().await.unwrap();
        let ours = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl \
                    JOIN pg_stat_activity USING (pid) WHERE application_name = 'remotegpu-api'";
        assert_eq!(database.query(ours).unwrap(), "t", "{mode}");

        // One that somebody else has signed may be anybody's.
        let said = refused(&url(&database, mode, &other.file)).await;
        assert!(said.contains("UnknownIssuer"), "{mode}: {said}");
    }
    // Nor is it one of the web's.
    let web = format!("{}?sslmode=require", database.url());
    let said = refused(&web).await;
    assert!(said.contains("UnknownIssuer"), "{said}");
    // Where nothing is promised, nothing is checked.
    connect(&url(&database, "prefer", &other.file))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_host_or_time_is_refused() {
    let (_folder, good, _) = authorities();
    for (host, ended, why) in [
        ("db.example.org", false, "NotValidForName"),
        ("127.0.0.1", true, "Expired"),
    ] {
        let (_server, database) = good.server(host, ended);
        for mode in ["require", "verify-ca", "verify-full"] {
            let said = refused(&url(&database, mode, &good.file)).await;
            let told = said.contains(why) || said.to_lowercase().contains("not valid for name");
            assert!(
                told || said.to_lowercase().contains("expired"),
                "{mode}: {said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_gets_no_password() {
    let (_folder, good, _) = authorities();
    let database = TestPostgres::shared().unwrap().create_database().unwrap();
    let said = refused(&url(&database, "require", &good.file)).await;
    assert!(said.contains("TLS"), "{said}");
}
