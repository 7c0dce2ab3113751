use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use crate::fs::Credentials;
use crate::rpc::{AuthFlavor, Connection, ConnectionId, Principal, RpcCall, RpcProgram, RpcReply};
use crate::xdr::{Rope, XdrWriter};

/// Replies are cut from a chunk of this many bytes, as a connection does it.
const REPLY_CHUNK: usize = 64 << 10;
/// So often a call may give way to others before it counts as one that waits.
const TURNS: usize = 1000;
/// With less room than this left in it, another chunk is taken.
const REPLY_ROOM_MIN: usize = 4 << 10;

/// A program called in the same process, without a socket or RPC header: for benchmarks, fuzzing and small tests.
pub struct LocalClient {
    program: Arc<dyn RpcProgram>,
    connection: Arc<Connection>,
    principal: Principal,
    /// Of the last call that had the next one.
    xid: u32,
    /// Spare capacity of the last reply's buffer, as a connection keeps it.
    spare: BytesMut,
}

impl LocalClient {
    /// Calls `program` as root, by AUTH_SYS.
    pub fn new(program: Arc<dyn RpcProgram>) -> Self {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let principal = Principal { flavor: AuthFlavor::Sys, credentials: Credentials::root() };
        Self {
            program,
            connection: Arc::new(Connection::new(ConnectionId(1), peer)),
            principal,
            xid: 0,
            spare: BytesMut::new(),
        }
    }

    /// Calls procedure 1 with these arguments and runs it to its end on this thread.
    ///
    /// # Panics
    /// If the call waits for anything: what is called may only give way, as the memory file system does.
    pub fn call(&mut self, args: Bytes) -> (RpcReply, Rope) {
        self.xid = self.xid.wrapping_add(1);
        self.call_as(self.xid, args)
    }

    /// The xid of the last call by [`call`](Self::call).
    pub fn xid(&self) -> u32 {
        self.xid
    }

    /// Like [`call`](Self::call), with this xid: with that of another call and the same arguments it is that call once more.
    ///
    /// # Panics
    /// As it does.
    pub fn call_as(&mut self, xid: u32, args: Bytes) -> (RpcReply, Rope) {
        let record_len = u32::try_from(args.len()).unwrap_or(u32::MAX);
        let call = RpcCall {
            xid,
            version: *self.program.versions().start(),
            procedure: 1,
            principal: self.principal.clone(),
            args,
            connection: self.connection.clone(),
            record_len,
            reply_header_len: 0,
        };
        if self.spare.capacity() < REPLY_ROOM_MIN {
            self.spare = BytesMut::with_capacity(REPLY_CHUNK);
        }
        let writer = XdrWriter::with_buffer(std::mem::take(&mut self.spare));
        let mut future = self.program.clone().call(call, writer);
        let mut cx = Context::from_waker(Waker::noop());
        let polled = (0..TURNS).find_map(|_| match future.as_mut().poll(&mut cx) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        });
        let (reply, writer) = polled.expect("the call waits");
        let (rope, spare) = writer.finish_split();
        self.spare = spare;
        (reply, rope)
    }
}
