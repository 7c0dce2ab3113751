//! Callbacks of minor version 0: over a connection that the server makes, to where SETCLIENTID said (RFC 7530 sections 3.3.3, 10.2.1
//! and 17).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{CallError, CallPath, CallbackCall, CallbackCredential, CallbackError, Dialer};
use crate::client::{CallbackPath, Client};
use crate::proto::{
    CB_COMPOUND, CB_NULL, CbArgs, CbCompound4Args, CbCompound4Res, CbOp, CbRes, Minor, NFS4_CALLBACK,
};
use crate::xdr::{Utf8, decode_all, encode_to_bytes};

/// How one SETCLIENTID said that the client is to be called, and how that goes.
///
/// It is made with the record of the client, [opened](Self::open) when that is confirmed, and [closed](Self::close) when another
/// one takes its place.
pub struct DialedPath {
    client: Arc<Client>,
    to: Destination,
    standing: Mutex<Standing>,
    /// The connection, as long as it is used. Held for as long as one is made: others who call wait for the same.
    link: tokio::sync::Mutex<Option<Arc<dyn CallPath>>>,
    is_probed: AtomicBool,
}

/// Where and how a client is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its address; `None` if it has none that the server connects to.
    pub addr: Option<SocketAddr>,
    /// Its RPC program.
    pub program: u32,
    /// callback_ident.
    pub ident: u32,
    /// As whom the server calls.
    pub credential: CallbackCredential,
}

#[derive(Debug)]
struct Standing {
    stage: Stage,
    path: CallbackPath,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// SETCLIENTID is not confirmed.
    Unconfirmed,
    Open,
    /// Another one is in its place.
    Closed,
}

impl DialedPath {
    pub(crate) fn new(client: Arc<Client>, to: Destination) -> Self {
        Self {
            client,
            to,
            standing: Mutex::new(Standing { stage: Stage::Unconfirmed, path: CallbackPath::None }),
            link: tokio::sync::Mutex::default(),
            is_probed: AtomicBool::new(false),
        }
    }

    /// SETCLIENTID_CONFIRM came: from here on the client may be called.
    pub(crate) fn open(&self) {
        let mut standing = self.standing.lock();
        if standing.stage == Stage::Unconfirmed {
            standing.stage = Stage::Open;
            if self.to.addr.is_some() {
                self.stand(&mut standing, CallbackPath::Unproven);
            }
        }
    }

    /// The client is called by another path now.
    pub(crate) fn close(&self) {
        let mut standing = self.standing.lock();
        self.stand(&mut standing, CallbackPath::None);
        standing.stage = Stage::Closed;
    }

    /// Where and how the client is called.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn destination(&self) -> &Destination {
        &self.to
    }

    /// The client that is called.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Whether somebody should find out if the client answers, and nobody does yet: whoever asks is to [probe](Self::probe).
    pub(crate) fn wants_probe(&self) -> bool {
        let standing = self.standing.lock();
        let is_wanted = matches!(standing.path, CallbackPath::Unproven | CallbackPath::Down);
        is_wanted && !self.is_probed.swap(true, Ordering::AcqRel)
    }

    /// Finds out whether the client answers (RFC 7530 section 17.1).
    pub(crate) async fn probe(&self, dialer: &dyn Dialer) -> Result<(), CallbackError> {
        let _probing = Probing(&self.is_probed);
        self.call(dialer, CB_NULL, Bytes::new()).await.map(drop)
    }

    /// Carries out one operation at the client (RFC 7530 section 17.2).
    pub(crate) async fn call_back(&self, dialer: &dyn Dialer, op: CbArgs) -> Result<CbRes, CallbackError> {
        let asked = op.op();
        let compound = CbCompound4Args {
            tag: Utf8::default(),
            minorversion: Minor::V0.number(),
            callback_ident: self.to.ident,
            ops: vec![op],
        };
        let results = self.call(dialer, CB_COMPOUND, encode_to_bytes(&compound)).await?;
        read(&results, asked).inspect_err(|error| {
            if *error == CallbackError::Fault {
                self.has_failed();
            }
        })
    }

    /// The client did not answer in time, or not as it must: it is not reached by callbacks until it is seen to be.
    pub(crate) fn has_failed(&self) {
        self.found(CallbackPath::Down);
    }

    async fn call(&self, dialer: &dyn Dialer, procedure: u32, args: Bytes) -> Result<Bytes, CallbackError> {
        let call = CallbackCall {
            program: self.to.program,
            version: NFS4_CALLBACK,
            procedure,
            credential: self.to.credential.clone(),
            args,
        };
        let Some(addr) = self.to.addr else { return Err(CallbackError::NoPath) };
        let result = self.send(dialer, addr, call).await;
        match result {
            Ok(_) => self.found(CallbackPath::Proven),
            Err(CallError::Busy) => {}
            Err(CallError::Disconnected | CallError::Rejected(_) | CallError::Malformed) => self.has_failed(),
        }
        result.map_err(|error| match error {
            CallError::Disconnected => CallbackError::Lost,
            CallError::Rejected(rejection) => CallbackError::Rejected(rejection),
            CallError::Busy => CallbackError::Busy,
            CallError::Malformed => CallbackError::Fault,
        })
    }

    /// Sends the call over the connection that there is, and once more over a new one if that had ended: its end may not have been
    /// noticed before.
    async fn send(
        &self,
        dialer: &dyn Dialer,
        addr: SocketAddr,
        call: CallbackCall,
    ) -> Result<Bytes, CallError> {
        if let Some(path) = self.connected().await {
            match path.call(call.clone()).await {
                Err(CallError::Disconnected) => {}
                result => return result,
            }
        }
        // Kept here for the length of the call, whoever takes its place meanwhile.
        let path = self.connect(dialer, addr).await?;
        path.call(call).await
    }

    async fn connected(&self) -> Option<Arc<dyn CallPath>> {
        self.link.lock().await.clone().filter(|path| path.is_open())
    }

    async fn connect(&self, dialer: &dyn Dialer, addr: SocketAddr) -> Result<Arc<dyn CallPath>, CallError> {
        let mut link = self.link.lock().await;
        if let Some(path) = link.as_ref().filter(|path| path.is_open()) {
            return Ok(Arc::clone(path));
        }
        *link = None;
        let made = dialer.dial(addr).await.map_err(|error| {
            tracing::debug!(%addr, %error, "a client cannot be called back");
            CallError::Disconnected
        })?;
        *link = Some(Arc::clone(&made));
        Ok(made)
    }

    fn found(&self, path: CallbackPath) {
        let mut standing = self.standing.lock();
        if standing.stage == Stage::Open && self.to.addr.is_some() {
            self.stand(&mut standing, path);
        }
    }

    fn stand(&self, standing: &mut Standing, path: CallbackPath) {
        let before = std::mem::replace(&mut standing.path, path);
        if before != path {
            self.client.change_callback_path(before, path);
        }
    }
}

impl std::fmt::Debug for DialedPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let standing = self.standing.lock();
        f.debug_struct("DialedPath")
            .field("to", &self.to)
            .field("standing", &*standing)
            .finish_non_exhaustive()
    }
}

/// Once a probe is over, however it ends, there may be another.
struct Probing<'a>(&'a AtomicBool);

impl Drop for Probing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What CB_COMPOUND4res says of the one operation that was asked for.
fn read(results: &Bytes, asked: CbOp) -> Result<CbRes, CallbackError> {
    let CbCompound4Res { status, ops, .. } = decode_all(results).map_err(|_| CallbackError::Fault)?;
    let mut ops = ops.into_iter();
    match (ops.next(), ops.next()) {
        (None, _) if !status.is_ok() => Err(CallbackError::Refused(status)),
        (Some(CbRes::Illegal(Err(status))), None) => Err(CallbackError::Refused(status)),
        (Some(res), None) if res.op() == asked && res.status() == status => Ok(res),
        _ => Err(CallbackError::Fault),
    }
}

#[cfg(test)]
#[path = "v4_0_tests.rs"]
mod tests;
