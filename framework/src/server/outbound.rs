use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smallvec::SmallVec;
use tokio::io::AsyncWrite;

use crate::xdr::Rope;

/// Slices of one vectored write: enough that a batch of small replies leaves in one, few enough for the stack.
const SLICES: usize = 64;

/// Replies, and calls of the server, on their way to the client, in the order in which they became ready.
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::xdr::XdrWriter;

    /// Takes up to so many bytes per write, then asks to wait once.
    struct Socket {
        takes: Vec<usize>,
        writes: usize,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Socket {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.writes += 1;
            let Some(takes) = self.takes.pop() else { return Poll::Pending };
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(takes).collect();
            self.taken.extend(&all);
            Poll::Ready(Ok(all.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A reply of `payloads` that are spliced, with small items between them.
    fn reply(number: u8, payloads: usize) -> Rope {
        let mut w = XdrWriter::new();
        for _ in 0..payloads {
            w.opaque_bytes(&Bytes::from(vec![number; 1100]));
        }
        w.u32(u32::from(number));
        w.finish()
    }

    #[test]
    fn replies_that_are_ready_together_leave_in_one_write() {
        let mut outbound = Outbound::default();
        let mut socket = Socket { takes: vec![usize::MAX], writes: 0, taken: Vec::new() };
        (0..20).for_each(|number| outbound.push(reply(number, 1)));
        let written =
            outbound.poll_write(&mut socket, &mut 0, &mut Context::from_waker(std::task::Waker::noop()));
        assert!(matches!(written, Poll::Ready(Ok(()))));
        assert_eq!((socket.writes, socket.taken.len()), (1, 20 * 1108));
    }

    proptest! {
        /// However little the socket takes at a time, it gets every byte in order.
        #[test]
        fn every_byte_leaves_in_order(
            payloads in proptest::collection::vec(0_usize..40, 0..10),
            takes in proptest::collection::vec(1_usize..9000, 0..400),
        ) {
            let mut outbound = Outbound::default();
            let mut expected = Vec::new();
            for (number, payloads) in (0..).zip(payloads) {
                let reply = reply(number, payloads);
                expected.extend(reply.to_bytes());
                outbound.push(reply);
            }
            let mut socket = Socket { takes, writes: 0, taken: Vec::new() };
            let mut progress = 0;
            let mut cx = Context::from_waker(std::task::Waker::noop());
            if outbound.poll_write(&mut socket, &mut progress, &mut cx).is_pending() {
                prop_assert_eq!(outbound.unsent(), expected.len() - progress);
                prop_assert!(!outbound.is_empty());
                socket.takes = vec![usize::MAX; 1000];
                prop_assert!(outbound.poll_write(&mut socket, &mut progress, &mut cx).is_ready());
            }
            prop_assert_eq!(progress, expected.len());
            prop_assert_eq!(outbound.unsent(), 0);
            prop_assert!(socket.taken == expected);
        }
    }
}
