//! People who guess passwords take nothing from those who present keys.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use super::Effort;
use crate::{
    dataset::{Accounts, Dataset},
    load::{Pace, Plan, Sample, SignInRequest, run, start},
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

/// What the guessers do who are told that it is too much.
const PATIENT: &str = "which come again when `retry-after` says";
const HASTY: &str = "which come again at once";

/// What was seen while somebody guessed, round by round.
#[derive(Default)]
struct Attack {
    checked: Vec<Sample>,
    guessed: Vec<Sample>,
}

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
    let pace_of = |patient| Pace::Closed {
        connections: GUESSERS,
        patient,
    };
    let users = data.keys.len() / 100;
    let (mut quiet, mut patient, mut hasty) = (Vec::new(), Attack::default(), Attack::default());
    for round in 0..effort.rounds as u64 {
        let (number, of) = (round + 1, effort.rounds);
        say(format_args!("{backend}, sign-ins: round {number} of {of}"));
        quiet.push(run(&plan(checks, slice), subject.requests(1, round))?);
        for (attack, is_patient) in [(&mut patient, true), (&mut hasty, false)] {
            let wrong = SignInRequest::new(server.address, users, "a wrong password", round);
            let guessing = start(&plan(pace_of(is_patient), slice), vec![Box::new(wrong)]);
            let checked = run(&plan(checks, slice), subject.requests(1, round))?;
            attack.checked.push(checked);
            attack.guessed.push(guessing.join()?);
            server.settle(Duration::from_secs(15))?;
        }
    }

    let place = backend.to_string();
    let rate = CHECKS_PER_SECOND;
    let mut tell = |name: String, samples: &[Sample], statuses: &[u16]| {
        for status in statuses {
            report.figures(&place, &name, *status, samples);
        }
        for sample in samples {
            report.note_faults(&place, &name, &sample.faults(statuses));
        }
    };
    tell(format!("key, {rate} a second, quiet"), &quiet, &[200]);
    for (attack, kind) in [(&patient, PATIENT), (&hasty, HASTY)] {
        let guessers = format!("{GUESSERS} wrong sign-ins at once, {kind}");
        tell(
            format!("key, {rate} a second, beside {guessers}"),
            &attack.checked,
            &[200],
        );
        tell(guessers, &attack.guessed, &[401, 503]);
    }
    let what = |kind| {
        format!(
            "{backend}: p99 of key checks beside {GUESSERS} wrong sign-ins at once, {kind} / quiet"
        )
    };
    let ratios = |attack: &Attack| quantile_ratios((&attack.checked, 200), (&quiet, 200), 0.99);
    let (promised, beside) = (ratios(&patient), ratios(&hasty));
    report.promise(what(PATIENT), Bound::AtMost(1.5), "", promised);
    report.shown(what(HASTY), "", beside);
    server.stop()
}
