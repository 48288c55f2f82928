//! Who is in the account (contract K15, T7).

pub(crate) mod find;
pub(crate) mod list;
pub(crate) mod remove;
pub(crate) mod update;

use remotegpu_accounts::{Made, MadeBefore, MadeKind, Member};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    openapi::words::{open, words},
    v1::auth::RoleWord,
};

/// A person in the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberResponse {
    user_id: Uuid,
    #[schema(example = "ada@example.org")]
    email: String,
    #[schema(schema_with = open::<RoleWord>)]
    role: String,
    /// Since when they are in the account.
    #[serde(with = "time::serde::rfc3339")]
    joined_at: OffsetDateTime,
}

/// Something that opens the account and that somebody made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeResponse {
    #[schema(schema_with = open::<MadeTypeWord>)]
    r#type: &'static str,
    id: String,
    #[schema(example = "ci")]
    name: String,
}

/// A person in the account as they are now, and what the change has done beside it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedMemberResponse {
    #[serde(flatten)]
    item: MemberResponse,
    #[serde(flatten)]
    before: MadeBeforeResponse,
}

/// What became of what somebody had made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeBeforeResponse {
    /// What opens nothing any more.
    ended: Vec<MadeResponse>,
    /// What the caller answers for now.
    taken_over: Vec<MadeResponse>,
}

impl MemberResponse {
    fn new(member: &Member) -> Self {
        Self {
            user_id: member.user_id.as_uuid(),
            email: member.email.as_str().to_owned(),
            role: member.role.as_str().to_owned(),
            joined_at: member.joined_at,
        }
    }
}

impl MadeBeforeResponse {
    pub(crate) fn new(before: &MadeBefore) -> Self {
        let made = |made: &Made| MadeResponse {
            r#type: made.kind.as_str(),
            id: made.id.clone(),
            name: made.name.clone(),
        };
        Self {
            ended: before.ended.iter().map(made).collect(),
            taken_over: before.taken_over.iter().map(made).collect(),
        }
    }
}

words! {
    /// What kind of thing somebody has made.
    MadeTypeWord = MadeKind::ALL.iter().map(|kind| kind.as_str())
}
