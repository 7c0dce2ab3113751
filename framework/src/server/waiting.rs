use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;

use super::budget::Charge;
use super::connection::Alive;
use super::request::{Answered, Request};

/// The requests of a connection that wait for something, each in a task of its own.
#[derive(Default)]
pub(super) struct Waiting {
    count: usize,
    bytes: usize,
    /// Made for the first of them: most connections have none. Bounded by `max_in_flight`.
    channel: Option<Channel>,
}

struct Channel {
    sender: mpsc::UnboundedSender<Finished>,
    receiver: mpsc::UnboundedReceiver<Finished>,
}

/// A request that waits no more.
struct Finished {
    answered: Answered,
    record_len: usize,
    /// Of the message, which is held until here.
    charge: Charge,
}

impl Waiting {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of their messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets `request` run to its end, whatever becomes of the connection. `charge` and `alive` go with it.
    pub(super) fn spawn(&mut self, request: Request, record_len: usize, charge: Charge, alive: Alive) {
        let channel = self.channel.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            Channel { sender, receiver }
        });
        let sender = channel.sender.clone();
        self.count += 1;
        self.bytes += record_len;
        tokio::spawn(async move {
            let answered = request.await;
            // Fails when the connection has gone: the request was still carried out.
            let _ = sender.send(Finished { answered, record_len, charge });
            drop(alive);
        });
    }

    /// The next one that finished; pending also when there are none.
    pub(super) fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Answered> {
        let channel = self.channel.as_mut().filter(|_| self.count > 0);
        let Some(Poll::Ready(Some(finished))) = channel.map(|c| c.receiver.poll_recv(cx)) else {
            return Poll::Pending;
        };
        self.count -= 1;
        self.bytes -= finished.record_len;
        drop(finished.charge);
        Poll::Ready(finished.answered)
    }

    /// Waits for all of them; their answers are dropped.
    pub(super) fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.count > 0 {
            drop(ready!(self.poll_finished(cx)));
        }
        Poll::Ready(())
    }

    /// Whether something is held that is needed only while some wait.
    pub(super) fn holds_memory(&self) -> bool {
        self.channel.is_some()
    }

    /// Gives back what is needed only while some wait.
    pub(super) fn release(&mut self) {
        if self.count == 0 {
            self.channel = None;
        }
    }
}
