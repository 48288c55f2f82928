//! People who guess passwords take nothing from those who present keys.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use super::Effort;
use crate::{
    dataset::{Accounts, Dataset},
    load::{Pace, Plan, Requests, SignInRequest, run, start},
    progress::say,
    report::{Bound, Report},
    rounds::{Ask, Subject, quantile_ratios},
    server::Server,
    store::{Backend, Store},
};

/// How many guess at the same time.
const GUESSERS: usize = 200;
/// How often a key is checked meanwhile: a modest rate, far below what there is room for.
const CHECKS_PER_SECOND: f64 = 400.0;
/// How long the guesses go on before what they do to key checks is counted.
const HEAD_START: Duration = Duration::from_secs(1);

pub fn measure(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let data = Dataset::generate(&[Accounts::for_keys(effort.few_keys)])?;
    let store = Store::filled(backend, &data)?;
    let proxies = ("trusted-proxies", "127.0.0.1/32".to_owned());
    let server = Server::start(&store, &[proxies])?;
    let subject = Subject::new("", &server, Ask::Keys(Arc::clone(&data.keys)));
    let slice = effort.slice * 2;
    let plan = |pace, measure| Plan {
        address: server.address,
        pace,
        warm_up: HEAD_START,
        measure: Some(measure),
        server: Some(server.pid()),
    };
    let checks = Pace::Open {
        per_second: CHECKS_PER_SECOND,
        connections: 2,
    };
    let guesses = Pace::Closed {
        connections: GUESSERS,
    };
    let (mut quiet, mut meanwhile, mut guessed) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..effort.rounds as u64 {
        let (number, of) = (round + 1, effort.rounds);
        say(format_args!("{backend}, sign-ins: round {number} of {of}"));
        quiet.push(run(&plan(checks, slice), subject.requests(1, round))?);

        let users = data.keys.len() / 100;
        let wrong = SignInRequest::new(server.address, users, "a wrong password", round);
        let requests: Vec<Box<dyn Requests>> = vec![Box::new(wrong)];
        let attack = start(&plan(guesses, slice), requests);
        meanwhile.push(run(&plan(checks, slice), subject.requests(1, round))?);
        guessed.push(attack.join()?);
        server.settle(Duration::from_secs(15))?;
    }
    let place = backend.to_string();
    let rate = CHECKS_PER_SECOND;
    for (name, samples, statuses) in [
        (
            format!("key, {rate} a second, quiet"),
            &quiet,
            [200].as_slice(),
        ),
        (
            format!("key, {rate} a second, {GUESSERS} wrong sign-ins"),
            &meanwhile,
            &[200],
        ),
        (
            format!("wrong sign-ins, {GUESSERS} at once"),
            &guessed,
            &[401, 503],
        ),
    ] {
        for status in statuses {
            report.figures(&place, &name, *status, samples);
        }
        for sample in samples {
            report.note_faults(&place, &name, &sample.faults(statuses));
        }
    }
    report.promise(
        format!("{backend}: p99 of key checks during {GUESSERS} wrong sign-ins / quiet"),
        Bound::AtMost(1.5),
        "",
        quantile_ratios(&meanwhile, &quiet, 0.99),
    );
    server.stop()
}
