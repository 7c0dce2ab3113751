//! Where a client of minor version 0 is called back: a server of its own (RFC 7530 section 2.2).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dittofs_framework::proto::{CbClient4, ClientAddr4, NfsClientId4};
use dittofs_framework::testing::RpcPeer;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::setclientid::SetClientid4Args;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::Callbacks;

/// A server on a free port of the loopback interface for what the server calls. It listens until it is dropped.
pub struct CallbackListener {
    addr: SocketAddr,
    accepting: AbortHandle,
    connections: Arc<Mutex<Vec<RpcPeer>>>,
}

impl Drop for CallbackListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl CallbackListener {
    /// Listens, and serves calls as `callbacks` says.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(callbacks: &Callbacks) -> Self {
        Self::start_at(callbacks, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at an address, where port 0 is any.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start_at(callbacks: &Callbacks, addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (callbacks, accepted) = (callbacks.clone(), connections.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (peer, incoming) = RpcPeer::over(stream).expect("a connection");
                callbacks.serve(peer.clone(), incoming);
                accepted.lock().expect("no test panics in here").push(peer);
            }
        });
        Self { addr, accepting: accepting.abort_handle(), connections }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections were made to it.
    ///
    /// # Panics
    /// Never.
    pub fn connections(&self) -> usize {
        self.connections.lock().expect("no test panics in here").len()
    }

    /// Closes the connections that were made, and goes on listening.
    ///
    /// # Panics
    /// Never.
    pub async fn close_connections(&self) {
        let peers: Vec<_> = self.connections.lock().expect("no test panics in here").clone();
        for peer in peers {
            peer.close().await;
        }
    }

    /// SETCLIENTID's arguments for a client of that name that is to be called here.
    pub fn setclientid_args(&self, name: &str, verifier: [u8; 8]) -> SetClientid4Args {
        SetClientid4Args {
            client: NfsClientId4 { verifier, id: Opaque::from(name) },
            callback: CbClient4 { program: Callbacks::PROGRAM, location: universal(self.addr) },
            callback_ident: Callbacks::IDENT,
        }
    }
}

/// The universal address of an IPv4 address (RFC 5665 section 5.2.3.3).
pub fn universal(addr: SocketAddr) -> ClientAddr4 {
    let port = addr.port();
    let text = format!("{}.{}.{}", addr.ip(), port >> 8, port & 0xff);
    ClientAddr4 { netid: "tcp".into(), addr: text.as_str().into() }
}
