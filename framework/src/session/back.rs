//! The backchannel of a session (RFC 8881 sections 2.10.3.1, 18.33, 18.34 and 18.36): which connections it has, as whom the server
//! calls, and how it stands.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::back_slots::{BackNumbers, BackSlots};
use crate::callback::{CallPath, CallbackCredential};
use crate::client::{CallbackPath, Client};
use crate::proto::{
    AuthSysParms, CallbackSecParms4, ChannelAttrs4, Minor, NFS4ERR_NOENT, SequenceStatus, Status,
};
use crate::rpc::ConnectionId;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::xdr::Opaque;

/// The backchannel of a session. Every session has one; without a connection it is of no use.
pub(crate) struct Backchannel {
    client: Arc<Client>,
    minor: Minor,
    attrs: ChannelAttrs4,
    most_connections: usize,
    inner: Mutex<Inner>,
    /// A connection came, a slot is free, or the session has ended.
    changed: Notify,
    /// SEQ4_STATUS_* of this session. Written with `inner` locked, read by every SEQUENCE.
    status: AtomicU32,
}

struct Inner {
    program: u32,
    credential: CallbackCredential,
    /// The newest last.
    connections: Vec<Bound>,
    slots: BackSlots,
    standing: Standing,
    /// The client has answered neither the program and credential that there are now, nor on any of the connections since.
    is_unprobed: bool,
}

struct Bound {
    id: ConnectionId,
    path: Weak<dyn CallPath>,
}

/// How a backchannel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It never had a connection.
    Unused,
    /// Nothing was answered yet.
    Unproven,
    /// The client answers.
    Proven,
    /// It has lost its connections.
    Lost,
    /// The client refuses calls.
    Refused,
    /// A fault that lasts: the client has to make another session.
    Faulty,
    /// The session has ended.
    Ended,
}

impl Standing {
    const fn path(self) -> CallbackPath {
        match self {
            Self::Unused | Self::Ended => CallbackPath::None,
            Self::Unproven => CallbackPath::Unproven,
            Self::Proven => CallbackPath::Proven,
            Self::Lost | Self::Refused | Self::Faulty => CallbackPath::Down,
        }
    }

    /// RFC 8881 section 18.46.3.
    const fn status(self) -> SequenceStatus {
        match self {
            Self::Unused | Self::Unproven | Self::Proven | Self::Ended => SequenceStatus::empty(),
            Self::Lost | Self::Refused => SequenceStatus::CB_PATH_DOWN_SESSION,
            Self::Faulty => SequenceStatus::BACKCHANNEL_FAULT,
        }
    }

    /// Whether it stays so whatever happens.
    const fn is_final(self) -> bool {
        matches!(self, Self::Faulty | Self::Ended)
    }
}

/// As whom the server calls, and which program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addressee {
    pub(crate) program: u32,
    pub(crate) credential: CallbackCredential,
}

/// Why a callback cannot be sent through a session now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// It has no connection for callbacks.
    NoConnection,
    /// It is faulty, or has ended.
    ForGood,
    /// All slots are in use.
    NoSlot,
}

impl Backchannel {
    /// A backchannel without connections.
    pub(super) fn new(
        client: Arc<Client>,
        minor: Minor,
        asked: &BackRequest<'_>,
        limits: BackLimits,
    ) -> Self {
        let inner = Inner {
            program: asked.program,
            credential: choose_credential(asked.sec_parms).unwrap_or_default(),
            connections: Vec::new(),
            slots: BackSlots::new(asked.attrs.max_requests.min(limits.slots)),
            standing: Standing::Unused,
            is_unprobed: false,
        };
        Self {
            client,
            minor,
            attrs: asked.attrs,
            most_connections: limits.connections.max(1),
            inner: Mutex::new(inner),
            changed: Notify::new(),
            status: AtomicU32::new(0),
        }
    }

    /// The limits of callbacks and replies that were negotiated.
    pub(crate) fn attrs(&self) -> &ChannelAttrs4 {
        &self.attrs
    }

    /// The minor version of CB_COMPOUND: that of the CREATE_SESSION (RFC 8881 section 19.2.3).
    pub(crate) fn minor(&self) -> Minor {
        self.minor
    }

    /// What the session's SEQUENCEs are to say of it.
    #[inline]
    pub(super) fn status(&self) -> SequenceStatus {
        SequenceStatus::from_bits_retain(self.status.load(Ordering::Relaxed))
    }

    /// Whether callbacks can be sent at all: the client takes at least one at a time.
    pub(super) fn has_slots(&self) -> bool {
        self.attrs.max_requests > 0
    }

    /// Whether the connection is one of its own.
    pub(super) fn is_bound(&self, connection: ConnectionId) -> bool {
        self.inner.lock().connections.iter().any(|bound| bound.id == connection)
    }

    /// Adds a connection; the oldest goes if there are too many.
    pub(super) fn bind(&self, id: ConnectionId, path: Weak<dyn CallPath>) {
        let mut inner = self.inner.lock();
        if inner.standing.is_final() {
            return;
        }
        inner.connections.retain(|bound| bound.id != id && bound.is_open());
        if inner.connections.len() >= self.most_connections {
            inner.connections.remove(0);
        }
        inner.connections.push(Bound { id, path });
        if inner.standing != Standing::Proven {
            inner.is_unprobed = true;
            self.stand(&mut inner, Standing::Unproven);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes a connection out.
    pub(super) fn unbind(&self, id: ConnectionId) {
        let mut inner = self.inner.lock();
        inner.connections.retain(|bound| bound.id != id);
        self.note_loss(&mut inner);
    }

    /// BACKCHANNEL_CTL: another program and, if there is a choice of them, another credential. Whether the client answers to them is to be
    /// found out; until then it stands as it stood.
    pub(super) fn readdress(&self, program: u32, sec_parms: &[CallbackSecParms4]) -> Result<(), Status> {
        let credential = choose_credential(sec_parms)?;
        let mut inner = self.inner.lock();
        inner.program = program;
        inner.is_unprobed = true;
        if !sec_parms.is_empty() {
            inner.credential = credential;
        }
        if inner.standing == Standing::Refused {
            self.stand(&mut inner, Standing::Unproven);
        }
        Ok(())
    }

    /// Ends it with its session: who has a callback under way on it gives up.
    pub(super) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.connections.clear();
        self.stand(&mut inner, Standing::Ended);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Whether it will never be of use again.
    pub(crate) fn is_over(&self) -> bool {
        self.inner.lock().standing.is_final()
    }

    /// How good it is for the next callback.
    pub(crate) fn path(&self) -> CallbackPath {
        let mut inner = self.inner.lock();
        self.note_loss(&mut inner);
        inner.standing.path()
    }

    /// The newest connection that is open, but those `tried`.
    pub(crate) fn connection(&self, tried: &[ConnectionId]) -> Result<Arc<dyn CallPath>, Unavailable> {
        let mut inner = self.inner.lock();
        self.note_loss(&mut inner);
        if inner.standing.is_final() {
            return Err(Unavailable::ForGood);
        }
        let open = |bound: &Bound| if tried.contains(&bound.id) { None } else { bound.open() };
        inner.connections.iter().rev().find_map(open).ok_or(Unavailable::NoConnection)
    }

    pub(crate) fn addressee(&self) -> Addressee {
        let inner = self.inner.lock();
        Addressee { program: inner.program, credential: inner.credential.clone() }
    }

    /// Takes a slot for a callback.
    pub(super) fn take_slot(&self) -> Result<BackNumbers, Unavailable> {
        let mut inner = self.inner.lock();
        self.note_loss(&mut inner);
        match inner.standing {
            Standing::Faulty | Standing::Ended => Err(Unavailable::ForGood),
            Standing::Unused | Standing::Lost => Err(Unavailable::NoConnection),
            Standing::Unproven | Standing::Proven | Standing::Refused => {
                inner.slots.take().ok_or(Unavailable::NoSlot)
            }
        }
    }

    /// Changes the slots, and wakes who waits for one.
    pub(super) fn with_slots<T>(&self, change: impl FnOnce(&mut BackSlots) -> T) -> T {
        let changed = change(&mut self.inner.lock().slots);
        self.changed.notify_waiters();
        changed
    }

    /// Whether it is not known that the client answers to what it has asked for last.
    pub(crate) fn wants_probe(&self) -> bool {
        let mut inner = self.inner.lock();
        self.note_loss(&mut inner);
        inner.is_unprobed && !inner.connections.is_empty()
    }

    /// The client has answered a probe.
    pub(crate) fn probed(&self) {
        self.inner.lock().is_unprobed = false;
        self.answered();
    }

    /// The client has answered.
    pub(crate) fn answered(&self) {
        let mut inner = self.inner.lock();
        if matches!(inner.standing, Standing::Unproven | Standing::Refused) {
            self.stand(&mut inner, Standing::Proven);
        }
    }

    /// The client refuses calls. Another connection, program or credential may do.
    pub(crate) fn refused(&self) {
        let mut inner = self.inner.lock();
        inner.is_unprobed = false;
        if !inner.standing.is_final() && inner.standing != Standing::Lost {
            self.stand(&mut inner, Standing::Refused);
        }
    }

    /// What the client answered cannot be: the two do not agree about the slots any more.
    pub(crate) fn fault(&self) {
        let mut inner = self.inner.lock();
        if !inner.standing.is_final() {
            self.stand(&mut inner, Standing::Faulty);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Waits until something has changed: to be made before what it waits for is looked at.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        self.changed.notified()
    }

    fn note_loss(&self, inner: &mut Inner) {
        inner.connections.retain(Bound::is_open);
        let had_some = matches!(inner.standing, Standing::Unproven | Standing::Proven | Standing::Refused);
        if had_some && inner.connections.is_empty() {
            self.stand(inner, Standing::Lost);
        }
    }

    fn stand(&self, inner: &mut Inner, standing: Standing) {
        let before = std::mem::replace(&mut inner.standing, standing);
        self.status.store(standing.status().bits(), Ordering::Relaxed);
        self.client.change_callback_path(before.path(), standing.path());
    }

    /// Asserts that its parts fit together: invariants K5 and K6.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn check(&self) {
        let inner = self.inner.lock();
        let Inner { connections, slots, standing, .. } = &*inner;
        assert_eq!(self.status(), standing.status(), "K5: the session's status");
        assert!(connections.len() <= self.most_connections, "K5: too many connections");
        let has_none = matches!(standing, Standing::Unused | Standing::Lost | Standing::Ended);
        assert!(!has_none || connections.is_empty(), "K5: {standing:?} with connections");
        slots.check();
    }
}

impl std::fmt::Debug for Backchannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("Backchannel")
            .field("standing", &inner.standing)
            .field("connections", &inner.connections.len())
            .finish_non_exhaustive()
    }
}

impl Bound {
    fn open(&self) -> Option<Arc<dyn CallPath>> {
        self.path.upgrade().filter(|path| path.is_open())
    }

    fn is_open(&self) -> bool {
        self.open().is_some()
    }
}

/// What CREATE_SESSION says of the backchannel.
pub(super) struct BackRequest<'a> {
    /// As negotiated.
    pub(super) attrs: ChannelAttrs4,
    pub(super) program: u32,
    pub(super) sec_parms: &'a [CallbackSecParms4],
}

/// The server's own limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct BackLimits {
    pub(super) slots: u32,
    pub(super) connections: usize,
}

/// The first of a client's choice of credentials that can be used; AUTH_NONE if it has no choice to offer.
///
/// RPCSEC_GSS needs a handle that this server gave, and it gave none; where it is the only choice there is no other answer than
/// NFS4ERR_NOENT (RFC 8881 section 18.36.3).
pub(super) fn choose_credential(choice: &[CallbackSecParms4]) -> Result<CallbackCredential, Status> {
    let usable = |parms: &CallbackSecParms4| match parms {
        CallbackSecParms4::None(()) => Some(CallbackCredential::None),
        CallbackSecParms4::Sys(sys) => Some(CallbackCredential::Sys(unshared(sys))),
        CallbackSecParms4::Gss(_) => None,
    };
    match choice.iter().find_map(usable) {
        Some(credential) => Ok(credential),
        None if choice.is_empty() => Ok(CallbackCredential::None),
        None => Err(NFS4ERR_NOENT),
    }
}

/// A copy: the argument is a slice of the connection's buffer.
fn unshared(parms: &AuthSysParms) -> AuthSysParms {
    AuthSysParms { machine_name: Opaque::from(&parms.machine_name[..]), ..parms.clone() }
}
