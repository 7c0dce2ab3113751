use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};

use crate::rpc::AuthFlavor;
use crate::rpc::record::RecordReader;
use crate::xdr::{XdrEncode, XdrError, XdrReader, XdrWriter, encode_to_bytes};

/// The longest reply that is taken, in bytes.
pub(super) const MAX_RECORD: usize = 16 << 20;
/// How long a reply is waited for: a server that does not answer fails the test instead of hanging it.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// What the next connection begins its xids with. A client that begins with the same ones each time sends duplicates of what another
/// sent before it.
static NEXT_XIDS: AtomicU32 = AtomicU32::new(1);
const XIDS_PER_CONNECTION: u32 = 1 << 16;

pub(super) fn first_xid() -> u32 {
    NEXT_XIDS.fetch_add(XIDS_PER_CONNECTION, Ordering::Relaxed)
}

/// Which procedure is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcTarget {
    /// Program number.
    pub program: u32,
    /// Version of the program.
    pub version: u32,
    /// Procedure number.
    pub procedure: u32,
}

/// What a call says of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcCredential {
    /// auth_flavor of the credential.
    pub flavor: u32,
    /// Body of the credential.
    pub body: Bytes,
}

impl RpcCredential {
    /// AUTH_NONE.
    pub fn none() -> Self {
        Self { flavor: AuthFlavor::None.number(), body: Bytes::new() }
    }

    /// AUTH_SYS with these ids, from a machine named `test`.
    pub fn sys(uid: u32, gid: u32, groups: &[u32]) -> Self {
        let mut w = XdrWriter::new();
        w.u32(0);
        w.opaque(b"test");
        w.u32(uid);
        w.u32(gid);
        w.len_prefix(groups.len());
        for group in groups {
            w.u32(*group);
        }
        Self { flavor: AuthFlavor::Sys.number(), body: w.finish().to_bytes() }
    }
}

/// A call that brought no results.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// No answer came.
    #[error("no answer within a minute")]
    TimedOut,
    /// The answer is not a reply, or too long.
    #[error("not an RPC reply: {0}")]
    Malformed(String),
    /// PROG_UNAVAIL.
    #[error("the program is not available")]
    ProgUnavail,
    /// PROG_MISMATCH, with the lowest and the highest version.
    #[error("the program has versions {0} to {1}")]
    ProgMismatch(u32, u32),
    /// PROC_UNAVAIL.
    #[error("the procedure is not available")]
    ProcUnavail,
    /// GARBAGE_ARGS.
    #[error("the arguments do not decode")]
    GarbageArgs,
    /// SYSTEM_ERR.
    #[error("the server failed")]
    SystemErr,
    /// RPC_MISMATCH, with the lowest and the highest version.
    #[error("RPC has versions {0} to {1}")]
    RpcMismatch(u32, u32),
    /// AUTH_ERROR, with the auth_stat.
    #[error("the caller is refused with auth_stat {0}")]
    AuthError(u32),
}

impl From<XdrError> for RpcError {
    fn from(error: XdrError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// An RPC client over one TCP connection.
#[derive(Debug)]
pub struct RpcClient {
    stream: TcpStream,
    reader: RecordReader,
    next_xid: u32,
    /// Replies that came while another was waited for, by xid.
    early: HashMap<u32, Bytes>,
}

impl RpcClient {
    /// Connects.
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let reader = RecordReader::new(MAX_RECORD, MAX_RECORD);
        Ok(Self { stream, reader, next_xid: first_xid(), early: HashMap::new() })
    }

    /// The client's end of the connection.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Calls, and waits for the results.
    pub async fn call(
        &mut self,
        target: RpcTarget,
        cred: &RpcCredential,
        args: &(impl XdrEncode + ?Sized),
    ) -> Result<Bytes, RpcError> {
        let xid = self.send(target, cred, args).await?;
        self.receive(xid).await
    }

    /// Sends a call without waiting for its reply, which [`receive`](Self::receive) takes by the xid returned.
    pub async fn send(
        &mut self,
        target: RpcTarget,
        cred: &RpcCredential,
        args: &(impl XdrEncode + ?Sized),
    ) -> Result<u32, RpcError> {
        let xid = self.next_xid;
        self.next_xid = self.next_xid.wrapping_add(1);
        let message = encode_call(xid, target, cred, &encode_to_bytes(args));
        self.write_raw(&fragments(&message, usize::MAX)).await?;
        Ok(xid)
    }

    /// The results of the call with this xid, whatever else is answered before it.
    pub async fn receive(&mut self, xid: u32) -> Result<Bytes, RpcError> {
        loop {
            if let Some(reply) = self.early.remove(&xid) {
                return decode_reply(&reply);
            }
            let reply = self.read_record().await?;
            self.early.insert(XdrReader::new(&reply).u32()?, reply);
        }
    }

    /// Writes bytes as they are.
    pub async fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next record that the server sends, whatever it holds.
    pub async fn read_record(&mut self) -> Result<Bytes, RpcError> {
        tokio::time::timeout(PATIENCE, self.next_record()).await.map_err(|_| RpcError::TimedOut)?
    }

    async fn next_record(&mut self) -> Result<Bytes, RpcError> {
        loop {
            let record = self.reader.next_record().map_err(|error| RpcError::Malformed(error.to_string()))?;
            if let Some(record) = record {
                return Ok(record);
            }
            match self.stream.read_buf(self.reader.buffer()).await {
                Ok(0) => return Err(RpcError::Closed),
                // What is left unread by a server that closes makes the system reset the connection.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(RpcError::Closed),
                other => other?,
            };
        }
    }

    /// Tells the server that nothing more will be sent, and goes on receiving.
    pub async fn finish_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

/// An RPC call as a message, not yet in a record. The verifier is AUTH_NONE.
pub fn encode_call(xid: u32, target: RpcTarget, cred: &RpcCredential, args: &[u8]) -> Bytes {
    let mut w = XdrWriter::new();
    for word in [xid, 0, 2, target.program, target.version, target.procedure, cred.flavor] {
        w.u32(word);
    }
    w.opaque(&cred.body);
    w.u32(AuthFlavor::None.number());
    w.u32(0);
    w.raw(args);
    w.finish().to_bytes()
}

/// `message` as a record in fragments of at most `size` bytes each, which must not be 0.
pub fn fragments(message: &[u8], size: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(message.len() + 4);
    let mut pieces = message.chunks(size).peekable();
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { 0x8000_0000 } else { 0 };
        let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        record.extend_from_slice(&(len | last).to_be_bytes());
        record.extend_from_slice(piece);
    }
    record
}

/// The results in a reply, or the error that it tells.
pub(super) fn decode_reply(reply: &Bytes) -> Result<Bytes, RpcError> {
    let mut r = XdrReader::new(reply);
    let (_xid, msg_type, stat) = (r.u32()?, r.u32()?, r.u32()?);
    if msg_type != 1 {
        return Err(RpcError::Malformed(format!("msg_type {msg_type}")));
    }
    match stat {
        0 => {}
        1 => return Err(denied(&mut r)?),
        stat => return Err(RpcError::Malformed(format!("reply_stat {stat}"))),
    }
    let _verf = (r.u32()?, r.opaque(400)?);
    let error = match r.u32()? {
        0 => return Ok(r.rest()),
        1 => RpcError::ProgUnavail,
        2 => RpcError::ProgMismatch(r.u32()?, r.u32()?),
        3 => RpcError::ProcUnavail,
        4 => RpcError::GarbageArgs,
        5 => RpcError::SystemErr,
        stat => RpcError::Malformed(format!("accept_stat {stat}")),
    };
    r.finish()?;
    Err(error)
}

fn denied(r: &mut XdrReader<'_>) -> Result<RpcError, RpcError> {
    let error = match r.u32()? {
        0 => RpcError::RpcMismatch(r.u32()?, r.u32()?),
        1 => RpcError::AuthError(r.u32()?),
        stat => RpcError::Malformed(format!("reject_stat {stat}")),
    };
    r.finish()?;
    Ok(error)
}
