//! One thread's loop over its connections.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mio::{Events, Poll, Token};

use super::{
    Pace, Plan,
    connection::{Connection, Progress},
    requests::Requests,
    sample::Sample,
};
use crate::process::own_thread_cpu_seconds;

/// How long requests that are under way at the end are waited for.
const GRACE: Duration = Duration::from_secs(20);
/// After so many failures there is nothing to measure.
const MOST_FAILURES: u64 = 20_000;

pub struct Engine {
    plan: Plan,
    requests: Box<dyn Requests>,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    /// Those that wait for something to ask.
    idle: Vec<usize>,
    /// Those that were refused and wait, with patience, to come again.
    resting: BinaryHeap<Reverse<(Instant, usize)>>,
    /// How many there may be.
    most: usize,
    /// Requests whose time has come, and that no connection was free for.
    due: VecDeque<Instant>,
    /// When the next request of an open loop is due.
    next: Instant,
    exhausted: bool,
    ending: bool,
    from: Instant,
    until: Option<Instant>,
    failures: u64,
    sample: Sample,
}

impl Engine {
    pub fn new(plan: Plan, requests: Box<dyn Requests>) -> Result<Self> {
        let (Pace::Closed {
            connections: most, ..
        }
        | Pace::Open {
            connections: most, ..
        }) = plan.pace;
        let now = Instant::now();
        let from = now + plan.warm_up;
        Ok(Self {
            plan,
            requests,
            poll: Poll::new()?,
            connections: Vec::new(),
            idle: Vec::new(),
            resting: BinaryHeap::new(),
            most,
            due: VecDeque::new(),
            next: now,
            exhausted: false,
            ending: false,
            from,
            until: plan.measure.map(|measure| from + measure),
            failures: 0,
            sample: Sample::default(),
        })
    }

    pub fn run(mut self) -> Result<Sample> {
        let mut events = Events::with_capacity(1024);
        if let Pace::Closed { connections, .. } = self.plan.pace {
            for _ in 0..connections {
                let token = self.open()?;
                self.begin(token, Instant::now())?;
            }
        }
        let mut cpu = None;
        let ended = loop {
            let now = Instant::now();
            if self.until.is_some_and(|until| now >= until) || self.is_done() {
                break now;
            }
            if cpu.is_none() && now >= self.from {
                cpu = Some(own_thread_cpu_seconds()?);
            }
            self.start_due(now)?;
            self.start_rested(now)?;
            self.turn(&mut events, self.until)?;
        };
        self.sample.seconds = (ended - self.from).as_secs_f64();
        self.sample.own_cpu = own_thread_cpu_seconds()? - cpu.unwrap_or_default();
        self.finish(&mut events)?;
        Ok(self.sample)
    }

    /// Lets what is under way end, so that the next subject finds a quiet server.
    fn finish(&mut self, events: &mut Events) -> Result<()> {
        // From now on nothing is counted, and nothing begun but what was due before.
        self.ending = true;
        self.until = self.until.or(Some(Instant::now()));
        let deadline = Instant::now() + GRACE;
        while (self.is_busy() || !self.due.is_empty()) && Instant::now() < deadline {
            self.turn(events, Some(deadline))?;
        }
        for _ in 0..self.due.len() {
            self.sample.failed("not sent before the end");
        }
        for connection in self.connections.iter().flatten() {
            if connection.began().is_some() {
                self.sample.failed("no answer before the end");
            }
        }
        Ok(())
    }

    fn is_busy(&self) -> bool {
        let mut open = self.connections.iter().flatten();
        open.any(|connection| connection.began().is_some())
    }

    fn is_done(&self) -> bool {
        self.exhausted && !self.is_busy()
    }

    /// Waits for events and handles them.
    fn turn(&mut self, events: &mut Events, until: Option<Instant>) -> Result<()> {
        let now = Instant::now();
        let mut wake = until.unwrap_or(now + Duration::from_secs(1));
        if matches!(self.plan.pace, Pace::Open { .. }) && !self.ending {
            wake = wake.min(self.next);
        }
        if let Some(Reverse((rested, _))) = self.resting.peek().filter(|_| !self.ending) {
            wake = wake.min(*rested);
        }
        let wait = wake.saturating_duration_since(now);
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            other => other.context("waiting for answers")?,
        }
        for event in events.iter() {
            let token = event.token().0;
            if let Some(connection) = &mut self.connections[token] {
                let began = connection.began();
                let progress = connection.go_on();
                self.handle(token, began, progress)?;
            }
        }
        Ok(())
    }

    /// Begins what an open loop's clock says. A request begins when its time is noticed:
    /// the kernel wakes a thread to the millisecond, and that is no fault of the server.
    /// From then on its waiting counts, for a free connection too.
    fn start_due(&mut self, now: Instant) -> Result<()> {
        let Pace::Open { per_second, .. } = self.plan.pace else {
            return Ok(());
        };
        let pause = Duration::from_secs_f64(1.0 / per_second);
        while self.next <= now {
            self.due.push_back(now);
            self.next += pause;
        }
        self.start_waiting()
    }

    /// Lets those ask again that have waited long enough.
    fn start_rested(&mut self, now: Instant) -> Result<()> {
        while let Some(&Reverse((rested, token))) = self.resting.peek() {
            if rested > now {
                break;
            }
            self.resting.pop();
            self.begin(token, now)?;
        }
        Ok(())
    }

    fn start_waiting(&mut self) -> Result<()> {
        while let Some(&began) = self.due.front() {
            let token = match self.idle.pop() {
                Some(token) => token,
                None if self.connections.len() < self.most => self.open()?,
                None => return Ok(()),
            };
            self.due.pop_front();
            self.begin(token, began)?;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<usize> {
        let token = self.connections.len();
        self.connections.push(None);
        self.reopen(token)?;
        Ok(token)
    }

    fn reopen(&mut self, token: usize) -> Result<()> {
        let connection = Connection::open(self.plan.address, self.poll.registry(), Token(token));
        self.connections[token] = Some(connection.context("opening a connection")?);
        Ok(())
    }

    /// Asks the next question on this connection.
    fn begin(&mut self, token: usize, began: Instant) -> Result<()> {
        let Some(connection) = self.connections[token].as_mut().filter(|_| !self.exhausted) else {
            return Ok(());
        };
        if !self.requests.next(connection.request_buffer()) {
            self.exhausted = true;
            return Ok(());
        }
        let progress = connection.ask(began);
        self.handle(token, Some(began), progress)
    }

    /// `began` is when the request began that was under way, if one was.
    fn handle(&mut self, token: usize, began: Option<Instant>, seen: Progress) -> Result<()> {
        let now = match seen {
            Progress::Waiting => return Ok(()),
            Progress::Answered {
                status,
                closes,
                retry_after,
            } => {
                let now = Instant::now();
                if now >= self.from && self.until.is_none_or(|until| now < until) {
                    self.sample.answered(status, now - began.unwrap_or(now));
                }
                if closes {
                    self.reopen(token)?;
                }
                if let (Pace::Closed { patient: true, .. }, Some(pause)) =
                    (self.plan.pace, retry_after)
                {
                    self.resting.push(Reverse((now + pause, token)));
                    return Ok(());
                }
                now
            }
            // An idle connection that the server has closed is no fault.
            Progress::Closed => {
                self.reopen(token)?;
                Instant::now()
            }
            Progress::Failed(why) => {
                self.sample.failed(&why);
                self.failures += 1;
                if self.failures > MOST_FAILURES {
                    bail!("too many requests fail, the last one: {why}");
                }
                self.reopen(token)?;
                Instant::now()
            }
        };
        match began {
            Some(_) => self.free(token, now),
            // It was idle before, and is again.
            None => Ok(()),
        }
    }

    /// What a connection does that has nothing to do.
    fn free(&mut self, token: usize, now: Instant) -> Result<()> {
        match self.plan.pace {
            Pace::Closed { .. } if self.ending => Ok(()),
            Pace::Closed { .. } => self.begin(token, now),
            Pace::Open { .. } => {
                self.idle.push(token);
                self.start_waiting()
            }
        }
    }
}
