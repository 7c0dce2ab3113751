//! Between clients and server: messages are late, lost, doubled, and overtake each other.

use bytes::Bytes;
use dittofs_framework::proto::{Stateid, Status};

use super::request::{ClientNo, Request};
use crate::Random;

/// What is under way.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Request {
        request: Request,
        bytes: Bytes,
    },
    Reply(Bytes),
    /// CB_RECALL of a delegation, and what the client says to it.
    Recall(Stateid),
    RecallReply(Stateid, Status),
    /// CB_RECALL_ANY: how many delegations the client may keep.
    RecallAny(u32),
}

#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) due: u64,
    /// The client that it comes from or goes to, and how often that one had restarted.
    pub(crate) client: ClientNo,
    pub(crate) incarnation: u32,
    /// The request's number at its client; `None` if nobody waits for a reply.
    pub(crate) id: Option<u64>,
    pub(crate) message: Message,
}

/// How bad it is, in percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) late: usize,
}

#[derive(Debug)]
pub(crate) struct Network {
    weather: Weather,
    packets: Vec<Packet>,
    /// Until when each client is cut off.
    cut_until: Vec<u64>,
}

impl Network {
    pub(crate) fn new(weather: Weather, clients: usize) -> Self {
        Self { weather, packets: Vec::new(), cut_until: vec![0; clients] }
    }

    pub(crate) fn cut(&mut self, client: ClientNo, until: u64) {
        self.cut_until[client.0] = until;
    }

    fn is_cut(&self, client: ClientNo, at: u64) -> bool {
        at < self.cut_until[client.0]
    }

    /// A message leaves; `due` is now.
    pub(crate) fn send(&mut self, rng: &mut Random, packet: &Packet) {
        let copies = if rng.below(100) < self.weather.doubled { 2 } else { 1 };
        for _ in 0..copies {
            if rng.below(100) < self.weather.lost || self.is_cut(packet.client, packet.due) {
                continue;
            }
            let most = if rng.below(100) < self.weather.late { 20_000 } else { 100 };
            let delay = 1 + rng.u64() % most;
            self.packets.push(Packet { due: packet.due + delay, ..packet.clone() });
        }
    }

    /// The next message that arrives.
    pub(crate) fn receive(&mut self) -> Option<Packet> {
        loop {
            let (index, _) = self.packets.iter().enumerate().min_by_key(|(_, packet)| packet.due)?;
            let packet = self.packets.remove(index);
            if !self.is_cut(packet.client, packet.due) {
                return Some(packet);
            }
        }
    }
}
