//! One world: server, clients and network, moved on by one sequence of random numbers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dittofs_framework::callback::Callback;
use dittofs_framework::clock::{Clock, TestClock, Timestamp};
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{ClientId, Minor, Stateid};
use dittofs_framework::rpc::Connection;
use dittofs_framework::state::DelegationView;
use dittofs_framework::testing::CompoundReply;

use super::callbacks::{Call, Callbacks};
use super::client::{Client, Intent, View};
use super::model::Model;
use super::network::{Message, Network, Packet, Weather};
use super::policy::{Manner, Policy};
use super::request::{ClientNo, Request};
use super::server::{KeepsRecord, Server, Settings};
use super::{Options, Trace, safety};
use crate::Random;

/// The lease, in milliseconds.
const LEASE: u64 = 10_000;

pub(crate) struct World {
    rng: Random,
    clock: Arc<TestClock>,
    started: Timestamp,
    /// Milliseconds since then.
    now: u64,
    server: Server,
    pub(crate) model: Model,
    clients: Vec<Client>,
    incarnations: Vec<u32>,
    /// As which user each client speaks to the server.
    network: Network,
    callbacks: Callbacks,
    requests: u64,
    trace: Trace,
}

/// What differs from world to world.
struct Plan {
    clients: usize,
    names: usize,
    files: usize,
    limits: Limits,
    weather: Weather,
    keeps_record: KeepsRecord,
    manner: Manner,
}

impl Plan {
    fn new(rng: &mut Random) -> Self {
        let files = 1 + rng.below(4);
        let weather = match rng.below(3) {
            0 => Weather { lost: 0, doubled: 2, late: 2 },
            1 => Weather { lost: 4, doubled: 5, late: 5 },
            _ => Weather { lost: 15, doubled: 20, late: 10 },
        };
        let keeps_record = rng.one_of(&[KeepsRecord::Yes, KeepsRecord::Yes, KeepsRecord::No]);
        Self {
            clients: 2 + rng.below(4),
            names: files + rng.below(2),
            files,
            limits: limits(rng),
            weather,
            keeps_record,
            manner: rng.one_of(&[Manner::Never, Manner::Sensibly, Manner::Sensibly, Manner::Wildly]),
        }
    }
}

/// In every other world the limits are so small that they are met.
fn limits(rng: &mut Random) -> Limits {
    let mut limits = Limits::default();
    // Growing and shrinking sessions have a model of their own.
    limits.sessions.slot_window = Duration::from_hours(1000);
    limits.sessions.slots_initial = 2 + u32::try_from(rng.below(3)).expect("few slots");
    limits.sessions.slots_per_session = limits.sessions.slots_initial;
    // Nothing in a simulated server waits for anything, and what is to be remembered is.
    limits.state.recall_wait = Duration::ZERO;
    limits.callbacks.proof_wait = Duration::ZERO;
    limits.state.regrant_after = Duration::from_millis(rng.one_of(&[0, 300, 5_000]));
    limits.duplicates.age = Duration::from_hours(1000);
    if rng.below(2) == 0 {
        return limits;
    }
    let mut small = |least: usize, more: usize| least + rng.below(more);
    limits.sessions.clients = small(2, 6);
    limits.sessions.sessions_per_client = small(1, 3);
    limits.state.opens_per_client = small(1, 5);
    limits.state.opens_total = small(3, 8);
    limits.state.lock_stateids_total = small(3, 8);
    limits.state.lock_stateids_per_client = small(1, 5);
    limits.state.locks_per_file = small(2, 6);
    limits.state.locks_per_client = small(2, 6);
    limits.state.locks_total = small(3, 8);
    limits.state.delegations_per_client = small(1, 3);
    limits.state.delegations_total = small(1, 5);
    limits
}

impl World {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = Random::new(seed);
        let plan = Plan::new(&mut rng);
        let clock = Arc::new(TestClock::default());
        let settings = Settings {
            limits: plan.limits.clone(),
            lease: Duration::from_millis(LEASE),
            files: plan.files,
            keeps_record: plan.keeps_record,
            policy: Arc::new(Policy::new(plan.manner, seed)),
        };
        let (mut server, handles) = Server::start(settings, clock.clone());
        let clients = (0..plan.clients).map(|index| {
            let minor = rng.one_of(&[Minor::V0, Minor::V1, Minor::V2]);
            let uid = 1000 + u32::try_from(rng.below(2)).expect("few users");
            Client::new(ClientNo(index), minor, uid, server.connect())
        });
        let clients: Vec<_> = clients.collect();
        Self {
            model: Model::new(LEASE, plan.limits, handles, plan.names, plan.manner),
            callbacks: Callbacks::default(),
            network: Network::new(plan.weather, plan.clients),
            incarnations: vec![0; plan.clients],
            rng,
            started: clock.now(),
            clock,
            now: 0,
            server,
            clients,
            requests: 0,
            trace,
        }
    }

    /// Lets the world run.
    ///
    /// # Panics
    /// If anything is not as it must be.
    pub(crate) fn run(mut self, options: &Options) -> Trace {
        for _ in 0..options.steps {
            if self.step() {
                self.take_callbacks();
                self.server.check();
                self.check_holders();
                let is_in_grace = self.server.service().grace().is_in_force();
                self.model.observe_grace(self.now, is_in_grace);
            }
            self.send_callbacks();
            safety::check(&mut self.clients, &self.model, self.now);
        }
        self.trace
    }

    /// Whether the server had a part in it.
    fn step(&mut self) -> bool {
        match self.rng.below(1000) {
            0..=17 => {
                self.chaos();
                true
            }
            18..=549 => self.deliver(),
            _ => {
                let delay = self.rng.u64() % 60;
                self.advance_to(self.now + delay);
                self.act();
                false
            }
        }
    }

    fn advance_to(&mut self, to: u64) {
        if to > self.now {
            self.clock.advance(Duration::from_millis(to - self.now));
            self.now = to;
        }
    }

    /// Something that nobody asked for.
    fn chaos(&mut self) {
        let client = ClientNo(self.rng.below(self.clients.len()));
        let now = self.now;
        match self.rng.below(13) {
            0..=2 => {
                let by = self.rng.one_of(&[LEASE / 2, LEASE - 1, LEASE, LEASE + 1, 2 * LEASE + 1]);
                self.trace.line(|| format!("{now} the time jumps by {by}"));
                self.advance_to(now + by);
            }
            3..=4 => {
                self.trace.line(|| format!("{now} the reaper comes"));
                self.server.reap();
                self.model.reap(now);
            }
            5..=7 => {
                let until = now + self.rng.u64() % (3 * LEASE);
                self.trace.line(|| format!("{now} {client:?} is cut off until {until}"));
                self.network.cut(client, until);
            }
            8 => {
                self.trace.line(|| format!("{now} {client:?} crashes"));
                self.incarnations[client.0] += 1;
                let connection = self.server.connect();
                self.clients[client.0].restart(connection);
            }
            12 => self.recall(),
            9 => self.clients[client.0].connection = self.server.connect(),
            _ => self.crash_server(),
        }
    }

    /// An administrator wants a delegation back.
    fn recall(&mut self) {
        if !self.model.delegations.is_empty() {
            let (now, other) = (self.now, self.rng.one_of(&self.model.delegations).other);
            self.trace.line(|| format!("{now} an administrator recalls {other:?}"));
            self.server.recall(&Stateid { seqid: 1, other });
            self.model.recall_one(now, other);
        }
    }

    /// What the server wants to call back is what the model says, and goes on its way.
    fn take_callbacks(&mut self) {
        let (mut recalls, mut any) = (Vec::new(), Vec::new());
        while let Some(callback) = self.server.next_callback() {
            match callback {
                Callback::Recall(recall) => recalls.push(recall),
                Callback::RecallAny { client, keep, .. } => any.push((client.id(), keep)),
                _ => {}
            }
        }
        for recall in &recalls {
            let client = self.machine(recall.client.id());
            self.callbacks.add(recall.stateid, client, self.now);
        }
        for (client, keep) in &any {
            let ((client, incarnation), message) = (self.machine(*client), Message::RecallAny(*keep));
            let packet = Packet { due: self.now, client, incarnation, id: None, message };
            self.network.send(&mut self.rng, &packet);
        }
        self.model.check_callbacks(&recalls, any);
    }

    /// The machine that a client ID stands for, and how often it had restarted.
    fn machine(&self, client: ClientId) -> (ClientNo, u32) {
        let no = self.model.record(client).expect("a record").incarnation().owner;
        (no, self.incarnations[no.0])
    }

    fn send_callbacks(&mut self) {
        let state = self.server.service().state();
        for call in self.callbacks.take_due(self.now, |stateid| state.is_awaited(stateid)) {
            let Call { client, incarnation, stateid, .. } = call;
            let (due, message) = (self.now, Message::Recall(stateid));
            let packet = Packet { due, client, incarnation, id: None, message };
            self.network.send(&mut self.rng, &packet);
        }
    }

    fn crash_server(&mut self) {
        let now = self.now;
        self.trace.line(|| format!("{now} the server crashes"));
        let on_record = self.server.on_record();
        self.model.crash(now, on_record.as_deref());
        self.callbacks.forget_all();
        self.server.restart();
        for client in &mut self.clients {
            client.connection = self.server.connect();
            // Who is not on record is not waited for, whether it knows or not.
            if !on_record.as_ref().is_some_and(|clients| clients.contains(&client.incarnation())) {
                client.lose_faith();
            }
        }
    }

    /// A client does something.
    fn act(&mut self) {
        let index = self.rng.below(self.clients.len());
        let view = self.view(index);
        match self.clients[index].next(&mut self.rng, &view) {
            Intent::Nothing => {}
            Intent::Send(requests) => requests.into_iter().for_each(|request| self.send(index, request)),
            Intent::Resend(id) => self.resend(index, id),
            Intent::Lie(request) => {
                self.send(index, request);
                let pending = self.clients[index].pending.last_mut().expect("it was just sent");
                pending.mark.is_late = true;
            }
            Intent::Stray(request) => {
                let bytes = request.compound(&self.model.handles).encode();
                self.dispatch(index, None, request, bytes);
            }
        }
    }

    fn view(&self, index: usize) -> View {
        let others = || self.clients.iter().filter(move |client| client.no.0 != index);
        View {
            now: self.now,
            names: self.model.names.len(),
            files: self.model.handles.files.len(),
            clients: self.clients.len(),
            stateids: others().flat_map(Client::stateids).collect(),
            clientids: others().filter_map(Client::clientid).collect(),
        }
    }

    fn send(&mut self, index: usize, request: Request) {
        self.requests += 1;
        let id = self.requests;
        let compound = request.compound(&self.model.handles);
        let bytes = self.clients[index].expect_reply(id, self.now, request.clone(), compound);
        self.dispatch(index, Some(id), request, bytes);
    }

    fn resend(&mut self, index: usize, id: u64) {
        let now = self.now;
        let client = &mut self.clients[index];
        let Some(pending) = client.pending.iter_mut().find(|pending| pending.id == id) else { return };
        pending.resent = now;
        let (request, bytes) = (pending.request.clone(), pending.bytes.clone());
        self.dispatch(index, Some(id), request, bytes);
    }

    fn dispatch(&mut self, index: usize, id: Option<u64>, request: Request, bytes: Bytes) {
        let packet = Packet {
            due: self.now,
            client: ClientNo(index),
            incarnation: self.incarnations[index],
            id,
            message: Message::Request { request, bytes },
        };
        self.network.send(&mut self.rng, &packet);
    }

    /// A message arrives. Whether it is for the server.
    fn deliver(&mut self) -> bool {
        let Some(packet) = self.network.receive() else { return false };
        // No two requests at the same moment: which client was silent for longest is never a matter of chance.
        self.advance_to(packet.due.max(self.now + 1));
        let (now, no) = (self.now, packet.client);
        let is_there = packet.incarnation == self.incarnations[no.0];
        match &packet.message {
            Message::Recall(_) | Message::RecallAny(_) if !is_there => false,
            Message::Recall(stateid) => {
                let status = self.clients[no.0].recalled(&mut self.rng, *stateid, now);
                self.trace.line(|| format!("{now} {no:?} is asked for {stateid:?}: {status}"));
                let message = Message::RecallReply(*stateid, status);
                let packet = Packet { due: now, message, ..packet };
                self.network.send(&mut self.rng, &packet);
                false
            }
            Message::RecallReply(stateid, status) => {
                self.callbacks.answered(*stateid, *status, now);
                false
            }
            Message::RecallAny(keep) => {
                self.clients[no.0].asked_for_some(&mut self.rng, *keep, now);
                false
            }
            Message::Request { request, bytes } => {
                let connection = self.clients[packet.client.0].connection.clone();
                let reply = self.execute(&packet, &connection, request, bytes);
                let packet = Packet { due: self.now, message: Message::Reply(reply.raw), ..packet };
                self.network.send(&mut self.rng, &packet);
                true
            }
            Message::Reply(body) => {
                let Some(id) = packet.id else { return false };
                if packet.incarnation != self.incarnations[packet.client.0] {
                    return false;
                }
                let client = &mut self.clients[packet.client.0];
                if let Some(reply) = client.receive(id, body, &self.model.handles, (self.now, LEASE)) {
                    let (now, no) = (self.now, packet.client.0);
                    self.trace.line(|| format!("{now} client {no} <- #{id} {}", reply.status));
                }
                false
            }
        }
    }

    fn execute(
        &mut self,
        packet: &Packet,
        connection: &Arc<Connection>,
        request: &Request,
        bytes: &Bytes,
    ) -> CompoundReply {
        // A retransmission bears the number of the request.
        let xid = u32::try_from(packet.id.unwrap_or(0)).expect("few requests");
        let body = self.server.call(connection, (request.uid, xid), bytes.clone());
        let reply = request.compound(&self.model.handles).reply(&body);
        let (now, no, id) = (self.now, packet.client.0, packet.id.unwrap_or(0));
        self.trace.outcome(&reply);
        self.trace.line(|| {
            let sequence = request.sequence.map(|args| (args.sessionid, args.slotid, args.sequenceid));
            format!("{now} server: client {no} #{id} {sequence:?} {:?} -> {}", request.ops, reply.status)
        });
        self.model.offered(&self.server.take_offers());
        self.model.execute(now, (connection.id(), packet.id), request, &reply);
        for touch in self.model.take_touches() {
            safety::check_touch(&mut self.clients, &self.model, now, (packet.client, touch));
        }
        reply
    }

    /// The server must know of state exactly for those who have it.
    fn check_holders(&mut self) {
        self.check_delegations();
        for record in &self.model.records {
            let knows = self.server.service().state().has_state(record.id);
            assert_eq!(knows, self.model.has_state(record.id), "state of {:?}", record.id);
            let revoked = self.model.revoked.iter().any(|revoked| revoked.client == record.id);
            let knows = self.server.service().state().has_revoked(record.id);
            assert_eq!(knows, revoked, "revoked state of {:?}", record.id);
        }
    }

    fn check_delegations(&mut self) {
        let views = self.server.service().state().delegations(None, None, usize::MAX);
        let started = self.started;
        let since = |view: &DelegationView| {
            view.recalled_at.map(|at| u64::try_from(at.since(started).as_millis()).expect("a short time"))
        };
        self.model.check_delegations(&views, since);
    }
}
