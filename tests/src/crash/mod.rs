//! Kills the server at random moments under a load of clients, and compares what was acknowledged with what is there afterwards.
//!
//! Each client keeps a ledger of its own directory and of its own names in one that all share: a model of what it was told, and the one
//! operation that was sent and not answered when the server went. After each start the clients reclaim their opens, look at all they
//! have, and find either the model, or the model after the operation in flight: nothing else. Data that was neither written stably nor
//! committed may be old or new, write by write (RFC 8881 section 18.32).

mod choose;
mod contents;
mod fault;
mod full_disk;
mod model;
mod op;
mod process;
mod scan;
mod send;
mod stores;
mod subject;
mod verify;
mod wire;
mod worker;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dittofs_framework::proto::Minor;
use tokio::task::JoinSet;

pub use self::fault::{Fault, FaultKind};
pub use self::full_disk::{Filled, fill};
pub use self::process::{Program, scratch};
pub use self::stores::Stores;

use self::choose::Opens;
use self::fault::Stop;
use self::subject::{Life, Subject};
use self::worker::Worker;
use crate::Random;

/// What a run is.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Where the load and the moments of the kills come from. The load comes again with it, the timing of the threads does not.
    pub seed: u64,
    /// How often the server is killed.
    pub kills: u64,
    /// What the server left is checked after so many kills.
    pub fsck_every: u64,
}

/// Figures of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Times that the server was killed.
    pub kills: u64,
    /// Of them, before it listened or while clients reclaimed and looked.
    pub early_kills: u64,
    /// Operations that were answered.
    pub acknowledged: u64,
    /// Operations that were not answered when the server was killed.
    pub in_flight: u64,
    /// Checks of what the server left.
    pub fscks: u64,
    /// Grace periods that ended when the last client had reclaimed.
    pub graces: u64,
    /// Those that were ended by the administrator, for clients of minor version 0 never say that they have reclaimed all.
    pub graces_ended: u64,
}

/// Why a run has failed.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// What is not as it must be.
    pub faults: Vec<Fault>,
    /// What led there.
    pub context: String,
    /// How far the run came.
    pub figures: Figures,
}

impl Failure {
    fn of(what: impl Into<String>) -> Self {
        Self { faults: vec![Fault::wrong(what)], ..Self::default() }
    }

    /// How many faults are of this kind.
    pub fn count(&self, kind: FaultKind) -> usize {
        self.faults.iter().filter(|fault| fault.kind == kind).count()
    }
}

/// Clients of each minor version.
const CLIENTS: usize = 4;
/// Kills between changes of what clients of minor version 0 do.
const ERA: u64 = 5;
/// How long the grace period may go on when all have reclaimed.
const GRACE_END: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// Runs the load on a program, and kills it as often as the options say.
pub async fn run(program: Program, options: &Options) -> Result<Figures, Failure> {
    Run::new(program, *options).finish().await
}

/// Runs the load on a server in this process, whose stores lose power.
pub async fn run_on_stores(stores: Stores, options: &Options) -> Result<Figures, Failure> {
    Run::new(stores, *options).finish().await
}

struct Run<S> {
    subject: S,
    options: Options,
    random: Random,
    workers: Vec<Worker>,
    figures: Figures,
}

#[derive(Clone, Copy)]
enum Phase {
    Recover(SocketAddr),
    Verify,
    Work,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    Killed,
}

impl<S: Subject> Run<S> {
    fn new(subject: S, options: Options) -> Self {
        let mut random = Random::new(options.seed);
        let minors = Minor::ALL.iter().flat_map(|minor| [*minor; CLIENTS]).enumerate();
        let workers = minors.map(|(number, minor)| Worker::new(number, minor, random.u64())).collect();
        Self { subject, options, random, workers, figures: Figures::default() }
    }

    async fn finish(mut self) -> Result<Figures, Failure> {
        let ended = self.all().await;
        let figures = Figures {
            acknowledged: self.workers.iter().map(|worker| worker.acknowledged).sum(),
            in_flight: self.workers.iter().map(|worker| worker.in_flight).sum(),
            ..self.figures
        };
        ended.map(|()| figures).map_err(|failure| Failure { figures, ..failure })
    }

    async fn all(&mut self) -> Result<(), Failure> {
        while self.figures.kills < self.options.kills {
            self.one_life().await?;
            if self.figures.kills.is_multiple_of(self.options.fsck_every) {
                self.check().await?;
            }
        }
        loop {
            let Some(mut life) = self.start().await? else { continue };
            if self.come_back(&mut life, None).await? == Ended::Done {
                self.kill(&mut life).await?;
                return self.check().await;
            }
        }
    }

    async fn check(&mut self) -> Result<(), Failure> {
        self.figures.fscks += 1;
        self.subject.check().await.map_err(Failure::of)
    }

    /// A server that starts; `None` if it was killed as it started.
    async fn start(&mut self) -> Result<Option<S::Life>, Failure> {
        let life = self.subject.start().await.map_err(Failure::of)?;
        if life.is_none() {
            self.killed();
            self.figures.early_kills += 1;
        }
        Ok(life)
    }

    fn milliseconds(&mut self, from: usize, to: usize) -> Duration {
        let random = from + self.random.below(to - from);
        Duration::from_millis(u64::try_from(random).expect("a number"))
    }

    /// Starts the server, lets the clients reclaim, look and work, and kills it at some point of that.
    async fn one_life(&mut self) -> Result<(), Failure> {
        self.begin_era();
        let Some(mut life) = self.start().await? else { return Ok(()) };
        let is_first = self.figures.kills == 0;
        if !is_first && self.random.below(12) == 0 {
            tokio::time::sleep(self.milliseconds(0, 40)).await;
            self.figures.early_kills += 1;
            return self.kill(&mut life).await;
        }
        let early = !is_first && self.random.below(10) == 0;
        let early = early.then(|| self.milliseconds(0, 80));
        if self.come_back(&mut life, early).await? == Ended::Killed {
            self.figures.early_kills += 1;
            return Ok(());
        }
        let span = self.milliseconds(40, 260);
        self.run_phase(Phase::Work, &mut life, Some(span)).await.map(drop)
    }

    /// What the clients are like until the next kill.
    fn begin_era(&mut self) {
        let opens = if (self.figures.kills / ERA).is_multiple_of(2) { Opens::Yes } else { Opens::No };
        for worker in self.workers.iter_mut().filter(|worker| worker.is_v4_0()) {
            worker.opens = opens;
        }
        if self.random.below(8) == 0 {
            let number = self.random.below(self.workers.len());
            self.workers[number].restart();
        }
    }

    async fn kill(&mut self, life: &mut S::Life) -> Result<(), Failure> {
        life.kill().await.map_err(Failure::of)?;
        self.killed();
        Ok(())
    }

    fn killed(&mut self) {
        self.figures.kills += 1;
        self.workers.iter_mut().for_each(Worker::cut_off);
    }

    /// The clients connect and reclaim, and look at all they have once the grace period is over. The server may be killed so long after
    /// it listens.
    async fn come_back(&mut self, life: &mut S::Life, early: Option<Duration>) -> Result<Ended, Failure> {
        let addr = life.ready().await.map_err(Failure::of)?;
        let early = early.or(life.silence());
        let begun = Instant::now();
        if self.run_phase(Phase::Recover(addr), life, early).await? == Ended::Killed {
            return Ok(Ended::Killed);
        }
        self.end_grace(life).await?;
        let left = early.map(|early| early.saturating_sub(begun.elapsed()));
        self.run_phase(Phase::Verify, life, left).await
    }

    /// Waits for the end of the grace period, which comes by itself when only clients with sessions were on record.
    async fn end_grace(&mut self, life: &S::Life) -> Result<(), Failure> {
        let failed = |error: String| Failure::of(format!("the grace period: {error}"));
        if self.workers.iter().any(|worker| worker.is_v4_0() && worker.recorded_before) {
            life.end_grace().await.map_err(failed)?;
            self.figures.graces_ended += 1;
        } else {
            self.figures.graces += 1;
        }
        let begun = Instant::now();
        while life.is_in_grace().await.map_err(failed)? {
            if begun.elapsed() > GRACE_END {
                return Err(Failure::of("the grace period goes on, and all have reclaimed"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.workers.iter_mut().for_each(Worker::grace_is_over);
        Ok(())
    }

    /// Lets all workers do something, and kills the server after a time. Where it refuses operations as it was made to, it is killed as
    /// well.
    async fn run_phase(
        &mut self,
        phase: Phase,
        life: &mut S::Life,
        kill_after: Option<Duration>,
    ) -> Result<Ended, Failure> {
        let mut running = JoinSet::new();
        for (number, mut worker) in std::mem::take(&mut self.workers).into_iter().enumerate() {
            worker.may_fail = life.may_refuse();
            running.spawn(one_phase(number, worker, phase));
        }
        let deadline = tokio::time::sleep(kill_after.unwrap_or_default());
        tokio::pin!(deadline);
        let mut killed = None;
        let mut ended = Vec::new();
        loop {
            tokio::select! {
                one = running.join_next() => match one {
                    None => break,
                    Some(Ok(one)) => ended.push(one),
                    Some(Err(error)) => return Err(Failure::of(format!("a client: {error}"))),
                },
                () = &mut deadline, if kill_after.is_some() && killed.is_none() => {
                    killed = Some(life.kill().await);
                }
            }
        }
        ended.sort_by_key(|(number, ..)| *number);
        let stops = self.take_back(ended);
        let may_refuse = life.may_refuse();
        let is_refusing =
            stops.iter().any(|(_, stops)| stops.iter().any(|stop| matches!(stop, Stop::Refused(_))));
        if let Some(mut failure) = failure_of(&stops, killed.is_some(), may_refuse) {
            failure.context.push_str(&life.last_lines());
            return Err(failure);
        }
        match killed {
            None if is_refusing => self.kill(life).await.map(|()| Ended::Killed),
            None => Ok(Ended::Done),
            Some(result) => {
                result.map_err(Failure::of)?;
                self.killed();
                Ok(Ended::Killed)
            }
        }
    }

    fn take_back(&mut self, ended: Vec<(usize, Worker, Vec<Stop>)>) -> Vec<(String, Vec<Stop>)> {
        let mut stops = Vec::new();
        for (_, worker, stopped) in ended {
            if !stopped.is_empty() {
                stops.push((worker.history(), stopped));
            }
            self.workers.push(worker);
        }
        stops
    }
}

async fn one_phase(number: usize, mut worker: Worker, phase: Phase) -> (usize, Worker, Vec<Stop>) {
    let stops = match phase {
        Phase::Recover(addr) => worker.recover(addr).await.err().into_iter().collect(),
        Phase::Verify => worker.verify().await.err().unwrap_or_default(),
        Phase::Work => vec![worker.work().await],
    };
    (number, worker, stops)
}

/// Connections may end when the server is killed, and nothing else may; operations may be refused where something is made to fail.
fn failure_of(stops: &[(String, Vec<Stop>)], was_killed: bool, may_refuse: bool) -> Option<Failure> {
    let mut failure = Failure::default();
    for (history, stops) in stops {
        let before = failure.faults.len();
        for stop in stops {
            match stop {
                Stop::Gone if was_killed => {}
                Stop::Refused(_) if may_refuse => {}
                Stop::Gone => failure.faults.push(Fault::wrong("the server ended the connection")),
                Stop::Refused(what) => failure.faults.push(Fault::wrong(what.clone())),
                Stop::Fault(fault) => failure.faults.push(fault.clone()),
            }
        }
        if failure.faults.len() > before {
            failure.context.push_str(history);
            failure.context.push('\n');
        }
    }
    (!failure.faults.is_empty()).then_some(failure)
}
