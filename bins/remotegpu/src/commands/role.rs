//! What somebody may do in an account (contract A11).

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Sees what the account has.
    Read,
    /// Also creates, changes and deploys.
    Write,
    /// Also manages members.
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}
