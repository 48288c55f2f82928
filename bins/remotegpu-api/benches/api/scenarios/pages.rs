//! A page of fifty keys costs the server a few milliseconds (contract H7).

use anyhow::Result;

use super::Effort;
use crate::{
    dataset::{Accounts, Dataset, PASSWORD, email},
    report::{Bound, Report},
    rounds::{Ask, Subject, interleave},
    server::Server,
    store::{Backend, Store},
};

pub fn measure(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let alone = Accounts {
        count: 1,
        keys_each: 50,
    };
    let data = Dataset::generate(&[alone, Accounts::for_keys(effort.few_keys)])?;
    let store = Store::filled(backend, &data)?;
    let server = Server::start(&store, &[])?;
    let token = server.sign_in(&email(0), PASSWORD)?;
    let headers = vec![format!("cookie: remotegpu_session={token}")];
    let ask = Ask::Fixed("/settings/api-keys", headers);
    let subject = Subject::new("a page of 50 keys, 1 connection", &server, ask);
    let subjects = [subject];
    let samples = interleave(&format!("{backend}, pages"), &subjects, 1, effort, report)?;
    let samples = &samples[0];
    report.figures(&backend.to_string(), &subjects[0].name, 200, samples);
    let milliseconds = samples
        .iter()
        .filter_map(|sample| sample.quantile(200, 0.5));
    report.promise(
        format!("{backend}: a page of 50 keys (p50)"),
        Bound::AtMost(5.0),
        " ms",
        milliseconds.collect(),
    );
    server.stop()
}
