//! A short page of a long list costs what it costs of a short one.

use anyhow::Result;

use super::Effort;
use crate::{
    dataset::{Accounts, Dataset, PASSWORD, email},
    report::{Bound, Report},
    rounds::{Ask, Subject, interleave, quantile_ratios},
    server::Server,
    store::{Backend, Store},
};

const PATH: &str = "/v1/account/api-keys?limit=5";

pub fn run(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let others = Accounts::for_keys(effort.few_keys);
    let alone = |keys_each| Accounts {
        count: 1,
        keys_each,
    };
    let data = Dataset::generate(&[alone(5), alone(500), others])?;
    let store = Store::filled(backend, &data)?;
    let server = Server::start(&store, &[])?;
    let subject = |keys: usize, user: usize| {
        let token = server.sign_in(&email(user), PASSWORD)?;
        let headers = vec![format!("authorization: Bearer {token}")];
        let name = format!("5 of {keys} keys listed, 1 connection");
        Ok::<_, anyhow::Error>(Subject::new(name, &server, Ask::Fixed(PATH, headers)))
    };
    let subjects = [subject(5, 0)?, subject(500, 1)?];
    let samples = interleave(&format!("{backend}, listing"), &subjects, 1, effort, report)?;
    for (subject, samples) in subjects.iter().zip(&samples) {
        report.figures(&backend.to_string(), &subject.name, 200, samples);
    }
    report.promise(
        format!("{backend}: time of `?limit=5` at 500 keys / at 5 keys (p50)"),
        Bound::AtMost(2.0),
        "",
        quantile_ratios((&samples[1], 200), (&samples[0], 200), 0.5),
    );
    server.stop()
}
