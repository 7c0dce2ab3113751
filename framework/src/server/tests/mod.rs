//! Origin: own tables. RFC: 5531.

mod budget;
mod calls;
mod dialed;
mod lifetimes;
mod limits;
mod records;
mod replies;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::DuplexStream;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::connection::{ConnectionTask, Ending};
use super::programs::Programs;
use super::{Drained, Server, ServerLimits, Services};
use crate::rpc::{
    AuthFlavor, AuthStat, BoxFuture, Connection, ConnectionId, RpcCall, RpcProgram, RpcReply,
    SysAuthenticator,
};
use crate::testing::{RpcCredential, RpcTarget, encode_call, fragments};
use crate::xdr::{XdrReader, XdrWriter};

const PROGRAM: u32 = 0x2000_0001;
const VERSION: u32 = 3;

/// The procedures of [`Probe`].
mod procedure {
    pub(super) const NULL: u32 = 0;
    /// Returns its arguments.
    pub(super) const ECHO: u32 = 1;
    /// Returns its arguments once the gate lets it.
    pub(super) const GATED: u32 = 2;
    /// Returns as many bytes as its argument, an unsigned integer, says.
    pub(super) const FILL: u32 = 3;
    /// Returns flavor, uid, gid and groups of the caller.
    pub(super) const WHO: u32 = 4;
    /// Returns the id of the connection and the length of the message.
    pub(super) const WHERE: u32 = 5;
    /// Answers with the reply of this number, after results that must not be seen.
    pub(super) const REPLY: u32 = 6;
    /// Panics: 0 in the call, 1 when first polled, 2 after waiting.
    pub(super) const PANIC: u32 = 7;
}

/// Requests of a [`Probe`] so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    begun: usize,
    finished: usize,
}

/// A program that does what its caller says.
struct Probe {
    versions: RangeInclusive<u32>,
    /// One permit lets one gated request go on.
    gate: Semaphore,
    counts: watch::Sender<Counts>,
    fill: Arc<Fill>,
}

/// Bytes of FILL results that are in memory.
#[derive(Default)]
struct Fill {
    now: AtomicUsize,
    peak: AtomicUsize,
}

/// The results of a FILL, counted for as long as anything refers to them.
struct Filling {
    data: Vec<u8>,
    fill: Arc<Fill>,
}

impl Filling {
    fn new(len: usize, fill: Arc<Fill>) -> Self {
        let now = fill.now.fetch_add(len, Ordering::SeqCst) + len;
        fill.peak.fetch_max(now, Ordering::SeqCst);
        Self { data: vec![7; len], fill }
    }
}

impl AsRef<[u8]> for Filling {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.fill.now.fetch_sub(self.data.len(), Ordering::SeqCst);
    }
}

impl Probe {
    fn new(versions: RangeInclusive<u32>) -> Arc<Self> {
        let counts = watch::Sender::new(Counts::default());
        Arc::new(Self { versions, gate: Semaphore::new(0), counts, fill: Arc::default() })
    }

    fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    async fn reach(&self, reached: impl FnMut(&Counts) -> bool) {
        self.counts.subscribe().wait_for(reached).await.expect("the program lives");
    }

    async fn run(&self, call: RpcCall, results: &mut XdrWriter) -> RpcReply {
        let first = XdrReader::new(&call.args).u32();
        match call.procedure {
            procedure::NULL => {}
            procedure::ECHO => results.raw(&call.args),
            procedure::GATED => {
                self.gate.acquire().await.expect("the gate stays").forget();
                results.raw(&call.args);
            }
            procedure::FILL => {
                let Ok(len) = first else { return RpcReply::GarbageArgs };
                let filling = Filling::new(len as usize, Arc::clone(&self.fill));
                results.opaque_bytes(&Bytes::from_owner(filling));
            }
            procedure::WHO => {
                let credentials = call.principal.credentials;
                results.u32(call.principal.flavor.number());
                results.u32(credentials.uid);
                results.u32(credentials.gid);
                credentials.groups.iter().for_each(|group| results.u32(*group));
            }
            procedure::WHERE => {
                results.u64(call.connection.id().0);
                results.u32(call.record_len);
            }
            procedure::REPLY => {
                results.opaque_bytes(&Bytes::from(vec![1; 5000]));
                return match first {
                    Ok(0) => RpcReply::ProcUnavail,
                    Ok(1) => RpcReply::GarbageArgs,
                    Ok(2) => RpcReply::SystemErr,
                    Ok(3) => RpcReply::AuthError(AuthStat::TooWeak),
                    _ => RpcReply::Drop,
                };
            }
            procedure::PANIC => {
                if first == Ok(2) {
                    tokio::task::yield_now().await;
                }
                panic!("asked to");
            }
            _ => return RpcReply::ProcUnavail,
        }
        RpcReply::Success
    }
}

impl RpcProgram for Probe {
    fn program(&self) -> u32 {
        PROGRAM
    }

    fn versions(&self) -> RangeInclusive<u32> {
        self.versions.clone()
    }

    fn call(
        self: Arc<Self>,
        call: RpcCall,
        mut results: XdrWriter,
    ) -> BoxFuture<'static, (RpcReply, XdrWriter)> {
        self.counts.send_modify(|counts| counts.begun += 1);
        assert!(call.procedure != procedure::PANIC || XdrReader::new(&call.args).u32() != Ok(0), "asked to");
        Box::pin(async move {
            let reply = self.run(call, &mut results).await;
            self.counts.send_modify(|counts| counts.finished += 1);
            (reply, results)
        })
    }
}

/// A server on a port of its own.
struct Running {
    addr: SocketAddr,
    program: Arc<Probe>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Drained>,
}

async fn start(limits: ServerLimits) -> Running {
    let program = Probe::new(2..=VERSION);
    let builder = Server::builder().program(Arc::clone(&program) as _).limits(limits);
    let server = builder.bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(async move { drop(stopped.await) }));
    Running { addr, program, stop, task }
}

/// A connection without a network: what the socket buffers hold is known, and the clock can be a test's.
struct Wired {
    client: DuplexStream,
    program: Arc<Probe>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Ending>,
}

/// Bytes that a [`Wired`] connection holds in each direction.
const WIRE: usize = 4096;

fn wire(limits: ServerLimits) -> Wired {
    let program = Probe::new(2..=VERSION);
    let (client, task) = wire_to(Arc::clone(&program), limits);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(task.run(async move { drop(stopped.await) }));
    Wired { client, program, stop, task }
}

/// The same, with the connection's task not yet running.
fn wire_to(program: Arc<Probe>, limits: ServerLimits) -> (DuplexStream, ConnectionTask<DuplexStream>) {
    wire_with(services_of(program, limits))
}

fn services_of(program: Arc<Probe>, limits: ServerLimits) -> Arc<Services> {
    let programs = Programs::new(vec![program]).expect("one program");
    Arc::new(Services::new(programs, Arc::new(SysAuthenticator), limits))
}

/// The same, beside others of one server.
fn wire_with(services: Arc<Services>) -> (DuplexStream, ConnectionTask<DuplexStream>) {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    wire_over(services, Arc::new(Connection::new(ConnectionId(0), peer)))
}

/// The same, for somebody who knows the connection.
fn wire_over(
    services: Arc<Services>,
    connection: Arc<Connection>,
) -> (DuplexStream, ConnectionTask<DuplexStream>) {
    let (client, server) = tokio::io::duplex(WIRE);
    let (alive, _) = mpsc::channel(1);
    (client, ConnectionTask::new(services, connection, server, alive))
}

/// Lets everything run that can, up to a time later: the paused clock moves only when all tasks wait.
async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

fn target(procedure: u32) -> RpcTarget {
    RpcTarget { program: PROGRAM, version: VERSION, procedure }
}

fn cred() -> RpcCredential {
    RpcCredential::sys(1000, 100, &[4, 24])
}

/// A call in a record of one fragment.
fn record(xid: u32, procedure: u32, args: &[u8]) -> Vec<u8> {
    fragments(&encode_call(xid, target(procedure), &cred(), args), usize::MAX)
}

/// Bytes that look random: the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}
