//! Accounts, users and keys as they are stored, in files that both databases load.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use rand::{SeedableRng, rngs::StdRng};
use remotegpu_accounts::PlainPassword;
use remotegpu_keys::PlainApiKey;
use remotegpu_primitives::{AccountId, ApiKeyId, KeySecretId, NamespaceId, UserId};
use remotegpu_scopes::Scopes;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, macros::datetime};

/// When everything was made; ids follow one another by a millisecond.
const MADE: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
const MADE_TEXT: &str = "2026-01-01T00:00:00Z";
/// What every user signs in with.
pub const PASSWORD: &str = "a password of the benchmark";

/// The raw keys, one after the other: at a million, each allocation counts.
#[derive(Debug, Default)]
pub struct Keys {
    text: String,
}

impl Keys {
    /// How long every key is.
    pub const LENGTH: usize = 41;

    pub fn len(&self) -> usize {
        self.text.len() / Self::LENGTH
    }

    pub fn get(&self, index: usize) -> &str {
        let at = index * Self::LENGTH;
        &self.text[at..at + Self::LENGTH]
    }

    /// The same keys with a checksum that is none of theirs.
    pub fn malformed(&self) -> Self {
        let mut bytes = self.text.clone().into_bytes();
        for last in bytes
            .iter_mut()
            .skip(Self::LENGTH - 1)
            .step_by(Self::LENGTH)
        {
            *last = if *last == b'0' { b'1' } else { b'0' };
        }
        let text = String::from_utf8(bytes).unwrap_or_default();
        Self { text }
    }
}

/// A file of rows.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static str,
    pub path: PathBuf,
}

/// Rows for every table that keys need, and the keys.
#[derive(Debug)]
pub struct Dataset {
    pub keys: Arc<Keys>,
    pub tables: Vec<Table>,
    _folder: TempDir,
}

/// So many accounts with so many keys each.
#[derive(Debug, Clone, Copy)]
pub struct Accounts {
    pub count: usize,
    pub keys_each: usize,
}

/// What each account has besides keys.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// So many namespaces, which are said to be active.
    pub namespaces: usize,
    /// In this cluster.
    pub cluster: &'static str,
    /// An identity in the cluster `bench` for each key in each namespace.
    pub with_identities: bool,
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            namespaces: 0,
            cluster: "bench",
            with_identities: false,
        }
    }
}

/// The identity with this number, of rows and of whatever stands for a cluster.
pub fn identity_id(number: usize) -> String {
    format!("0198c0de-0000-7000-8000-{number:012x}")
}

impl Accounts {
    /// A hundred keys for an account: more than most have, and the limit lets no account
    /// have them all.
    pub fn for_keys(keys: usize) -> Self {
        Self {
            count: keys / 100,
            keys_each: 100,
        }
    }
}

/// The address that the user of the account with this number signs in with.
pub fn email(number: usize) -> String {
    format!("user{number}@example.org")
}

impl Dataset {
    /// Draws everything from one seed: the same accounts have the same keys in every run.
    pub fn generate(groups: &[Accounts]) -> Result<Self> {
        Self::generate_with(groups, Extent::default())
    }

    /// The same, with more in each account.
    pub fn generate_with(groups: &[Accounts], extent: Extent) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut files = Files::create(folder.path())?;
        let mut rng = StdRng::seed_from_u64(1);
        let password = PlainPassword::presented(PASSWORD).hash(&mut rng)?;
        let scopes = Scopes::All.to_string().replace('"', "\"\"");
        let (mut keys, mut identities) = (Keys::default(), 0);
        let sizes = groups
            .iter()
            .flat_map(|group| std::iter::repeat_n(group.keys_each, group.count));
        for (number, size) in sizes.enumerate() {
            let made = MADE + Duration::milliseconds(i64::try_from(number)?);
            let (account, user) = (
                AccountId::generate(made, &mut rng),
                UserId::generate(made, &mut rng),
            );
            let (email, hash) = (email(number), password.as_str());
            writeln!(files.accounts, "{account},Account {number},{MADE_TEXT}")?;
            writeln!(files.users, "{user},{email},\"{hash}\",{MADE_TEXT}")?;
            writeln!(files.memberships, "{account},{user},admin,{MADE_TEXT}")?;
            let mut namespaces = Vec::new();
            for index in 0..extent.namespaces {
                let id = NamespaceId::generate(made, &mut rng);
                let name = format!("n{index}");
                let cluster = extent.cluster;
                writeln!(
                    files.namespaces,
                    "{id},{account},{name},bench-{number}-{index},{cluster},active,{MADE_TEXT},{MADE_TEXT}"
                )?;
                namespaces.push((id, format!("bench-{number}-{index}")));
            }
            for _ in 0..size {
                let made = MADE + Duration::milliseconds(i64::try_from(keys.len())?);
                let id = ApiKeyId::generate(made, &mut rng);
                let secret = KeySecretId::generate(made, &mut rng);
                let plain = PlainApiKey::generate(&mut rng);
                let (prefix, hash) = (plain.prefix(), hex(&plain.hash().0));
                let prefix = prefix.as_str();
                writeln!(
                    files.api_keys,
                    "{id},{account},bench,{prefix},\"{scopes}\",{MADE_TEXT},{user}"
                )?;
                writeln!(
                    files.key_secrets,
                    "{secret},{id},\\x{hash},{prefix},{MADE_TEXT}"
                )?;
                keys.text.push_str(plain.reveal());
                if extent.with_identities {
                    for (namespace, name) in &namespaces {
                        let identity = identity_id(identities);
                        // A token was minted for it as the rows are loaded.
                        writeln!(
                            files.identities,
                            "{identity},{secret},{id},{account},{namespace},{name},bench,true,{MADE_TEXT},now"
                        )?;
                        identities += 1;
                    }
                }
            }
        }
        files.finish()?;
        Ok(Self {
            keys: Arc::new(keys),
            tables: Files::tables(folder.path()),
            _folder: folder,
        })
    }
}

struct Files {
    accounts: BufWriter<File>,
    users: BufWriter<File>,
    memberships: BufWriter<File>,
    namespaces: BufWriter<File>,
    api_keys: BufWriter<File>,
    key_secrets: BufWriter<File>,
    identities: BufWriter<File>,
}

impl Files {
    /// In an order in which every row refers to rows before it.
    const LAYOUT: [(&'static str, &'static str); 7] = [
        ("accounts", "id, name, created_at"),
        ("users", "id, email, password_hash, created_at"),
        ("memberships", "account_id, user_id, role, created_at"),
        (
            "namespaces",
            "id, account_id, name, kubernetes_namespace, cluster, status, created_at, updated_at",
        ),
        (
            "api_keys",
            "id, account_id, name, prefix, scopes, created_at, created_by",
        ),
        ("key_secrets", "id, key_id, hash, prefix, created_at"),
        (
            "credential_identities",
            "id, secret_id, key_id, account_id, namespace_id, kubernetes_namespace, cluster, bound, created_at, last_minted_at",
        ),
    ];

    fn create(folder: &Path) -> Result<Self> {
        let create = |name: &str| {
            let path = folder.join(name);
            let file = File::create(&path).with_context(|| format!("{}", path.display()))?;
            Ok::<_, anyhow::Error>(BufWriter::new(file))
        };
        Ok(Self {
            accounts: create("accounts")?,
            users: create("users")?,
            memberships: create("memberships")?,
            namespaces: create("namespaces")?,
            api_keys: create("api_keys")?,
            key_secrets: create("key_secrets")?,
            identities: create("credential_identities")?,
        })
    }

    fn finish(mut self) -> Result<()> {
        self.accounts.flush()?;
        self.users.flush()?;
        self.memberships.flush()?;
        self.namespaces.flush()?;
        self.api_keys.flush()?;
        self.key_secrets.flush()?;
        self.identities.flush()?;
        Ok(())
    }

    fn tables(folder: &Path) -> Vec<Table> {
        let table = |(name, columns)| Table {
            name,
            columns,
            path: folder.join(name),
        };
        Self::LAYOUT.into_iter().map(table).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}
