//! Calls to clients of minor version 0, which are not called over their own connections.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::Nfs4Service;
use crate::callback::{
    Callback, CallbackCredential, CallbackError, Destination, DialedPath, Dialer, Uncallable,
};
use crate::client::Client;
use crate::log_limited;
use crate::proto::{AuthSysParms, CbArgs, CbClient4, CbOp, CbRes, ClientId, Gids};
use crate::rpc::{AuthFlavor, Principal};

/// A path is found down within this part of a lease, so that the client hears of it by RENEW before a delegation that it cannot be
/// asked for is revoked (RFC 7530 section 16.28.5).
const PATIENCE_PER_LEASE: u32 = 4;
/// The machine that the server says it is, in AUTH_SYS.
const MACHINE_NAME: &str = "nfs-server";

impl Nfs4Service {
    /// How a client is called that said so in SETCLIENTID, from `peer`.
    pub fn destination(
        &self,
        callback: &CbClient4,
        ident: u32,
        principal: &Principal,
        peer: SocketAddr,
    ) -> Destination {
        let resolved = self.v4_0.dialing.addresses.resolve(&callback.location, peer);
        if let Err(error @ Uncallable::Foreign(_)) = &resolved {
            log_limited!(warn, %peer, %error, "a client is not called back");
        }
        let credential = credential_of(principal);
        Destination { addr: resolved.ok(), program: callback.program, ident, credential }
    }

    /// Lets somebody find out whether a client of minor version 0 answers callbacks, unless it is known that it does.
    pub fn probe_v4_0(&self, client: ClientId) {
        let path = self.v4_0.clients.path(client).filter(|path| path.wants_probe());
        if let Some(path) = path {
            self.callbacks.outbox.push(Callback::Probe { client: path.client().clone() });
        }
    }

    /// Finds out whether a client of minor version 0 answers callbacks.
    pub async fn call_null_v4_0(&self, client: &Client, within: Duration) -> Result<(), CallbackError> {
        let (path, dialer) = self.way_to(client)?;
        until(self.patience(within), &path, path.probe(dialer)).await
    }

    /// Carries out one operation at a client of minor version 0.
    ///
    /// What is not answered `within` that time shows that callbacks do not come through. A CB_RECALL is waited for all the same,
    /// as long as its connection lasts: it must not be sent again over the same (RFC 7530 section 3.1.1), and may yet be answered.
    pub async fn call_v4_0(
        &self,
        client: &Client,
        op: CbArgs,
        within: Duration,
    ) -> Result<CbRes, CallbackError> {
        let (path, dialer) = self.way_to(client)?;
        let most = if op.op() == CbOp::Recall { self.lease } else { Duration::ZERO };
        let mut call = pin!(path.call_back(dialer, op));
        match until(self.patience(within), &path, call.as_mut()).await {
            Err(CallbackError::TimedOut) => until(most, &path, call).await,
            result => result,
        }
    }

    fn patience(&self, within: Duration) -> Duration {
        within.min(self.lease / PATIENCE_PER_LEASE)
    }

    fn way_to(&self, client: &Client) -> Result<(Arc<DialedPath>, &dyn Dialer), CallbackError> {
        let path = self.v4_0.clients.path(client.id()).ok_or(CallbackError::NoPath)?;
        Ok((path, &*self.v4_0.dialing.dialer))
    }
}

/// RFC 7530 section 3.3.3: "the callback from the server simply uses the AUTH_SYS credential that the user used when he set up the
/// delegation"; that of SETCLIENTID is the one of the client itself.
fn credential_of(principal: &Principal) -> CallbackCredential {
    let credentials = &principal.credentials;
    match principal.flavor {
        AuthFlavor::None => CallbackCredential::None,
        AuthFlavor::Sys => CallbackCredential::Sys(AuthSysParms {
            stamp: 0,
            machine_name: MACHINE_NAME.into(),
            uid: credentials.uid,
            gid: credentials.gid,
            gids: Gids(credentials.groups.to_vec()),
        }),
    }
}

/// What a call comes to, or that the client does not answer.
async fn until<T>(
    within: Duration,
    path: &DialedPath,
    call: impl Future<Output = Result<T, CallbackError>>,
) -> Result<T, CallbackError> {
    tokio::time::timeout(within, call).await.unwrap_or_else(|_| {
        path.has_failed();
        Err(CallbackError::TimedOut)
    })
}
