use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smallvec::SmallVec;
use tokio::io::AsyncWrite;

use crate::xdr::Rope;

/// Slices of one vectored write: enough that a batch of small replies leaves in one, few enough for the stack.
const SLICES: usize = 64;

/// Replies on their way to the client, in the order in which they became ready.
#[derive(Default)]
pub(super) struct Outbound {
    replies: VecDeque<Reply>,
    /// Bytes of the first reply that were written already.
    written: usize,
    unsent: usize,
}

struct Reply {
    rope: Rope,
    len: usize,
}

impl Outbound {
    pub(super) fn push(&mut self, rope: Rope) {
        let len = rope.len();
        self.unsent += len;
        self.replies.push_back(Reply { rope, len });
    }

    /// Bytes that wait.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Writes until everything is gone (`Ready`) or the socket takes no more. `progress` grows by what was written.
    pub(super) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut W,
        progress: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = ready!(self.poll_write_some(socket, cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *progress += written;
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_some<W: AsyncWrite + Unpin>(
        &self,
        socket: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slices: SmallVec<[IoSlice<'_>; SLICES]> = SmallVec::new();
        for reply in &self.replies {
            reply.rope.io_slices(&mut slices);
            if slices.len() >= SLICES - 2 {
                break;
            }
        }
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, self.written);
        Pin::new(socket).poll_write_vectored(cx, rest)
    }

    /// Lets go of the replies that are written in full.
    fn advance(&mut self, written: usize) {
        self.unsent -= written;
        self.written += written;
        while let Some(reply) = self.replies.front().filter(|reply| reply.len <= self.written) {
            self.written -= reply.len;
            self.replies.pop_front();
        }
    }
}
