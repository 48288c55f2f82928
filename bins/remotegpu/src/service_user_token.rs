//! Where `remotegpu` has a service user's token from, so that a pipeline needs no `login`
//! (contract T8).

use anyhow::{Result, bail};

use crate::given::{Found, Given};

const GIVEN: Given = Given {
    variable: "REMOTEGPU_TOKEN",
    file_variable: "REMOTEGPU_TOKEN_FILE",
    what: "token",
};

/// How such a token begins.
const PREFIX: &str = "rgsu_";

/// The token that the environment gives, if it gives one.
pub fn find() -> Result<Option<Found>> {
    let found = GIVEN.find()?;
    if let Some(found) = &found
        && !found.secret.reveal().starts_with(PREFIX)
    {
        let Given {
            variable,
            file_variable,
            ..
        } = GIVEN;
        bail!(
            "{variable} and {file_variable} are for tokens of service users, which begin with \
             {PREFIX}"
        );
    }
    Ok(found)
}
