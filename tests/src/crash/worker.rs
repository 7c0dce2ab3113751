use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;

use dittofs_framework::proto::{Minor, NFS4ERR_EXIST, NfsFh4, Stateid, Verifier4, component};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getattr::GetAttr;
use dittofs_ops::open::Open;
use dittofs_ops::putfh::PutFh;

use super::choose::{Chooser, Opens};
use super::fault::{Fault, Step, Stop};
use super::model::{HOME, Kind, NodeId, SHARED, World};
use super::op::{How, Op};
use super::send::Told;
use super::verify::{Changes, Sight, compare, differences};
use super::wire::{Attributes, Link, good, unexpected, wanted};
use crate::{Random, mode_attr, put, walk};

/// Operations that a failure shows.
const REMEMBERED: usize = 40;
/// One in so many operations is followed by a look at a file's contents.
const READS: usize = 16;

/// A client with a load of its own, and the ledger of it.
pub(super) struct Worker {
    pub(super) name: String,
    prefix: String,
    minor: Minor,
    random: Random,
    /// What is acknowledged.
    pub(super) world: World,
    /// What was sent, and is not answered.
    pending: Option<Op>,
    /// An exclusive create whose answer did not come, and which is sent again.
    again: Option<Op>,
    pub(super) stateids: BTreeMap<NodeId, Stateid>,
    changes: Changes,
    /// What directories were after each change of them: no value comes twice.
    directory_changes: HashMap<(u64, u64), u64>,
    versions: u64,
    incarnation: u64,
    link: Option<Link>,
    /// The write verifier of this instance of the server, and that of the one before.
    verifier: Option<Verifier4>,
    verifier_before: Option<Verifier4>,
    /// Whether it may have files open.
    pub(super) opens: Opens,
    /// Whether the server has it on record: from before its start, and by now.
    pub(super) recorded_before: bool,
    recorded_now: bool,
    /// Whether something is made to fail in this life of the server.
    pub(super) may_fail: bool,
    pub(super) acknowledged: u64,
    pub(super) in_flight: u64,
    last: VecDeque<Op>,
}

impl Worker {
    pub(super) fn new(number: usize, minor: Minor, seed: u64) -> Self {
        Self {
            name: format!("w{number}"),
            prefix: format!("w{number}-"),
            minor,
            random: Random::new(seed),
            world: World::new(),
            pending: None,
            again: None,
            stateids: BTreeMap::new(),
            changes: Changes::default(),
            directory_changes: HashMap::new(),
            versions: 0,
            incarnation: 1,
            link: None,
            verifier: None,
            verifier_before: None,
            opens: Opens::Yes,
            recorded_before: false,
            recorded_now: false,
            may_fail: false,
            acknowledged: 0,
            in_flight: 0,
            last: VecDeque::new(),
        }
    }

    pub(super) fn is_v4_0(&self) -> bool {
        self.minor == Minor::V0
    }

    /// What a failure shows of it.
    pub(super) fn history(&self) -> String {
        let last: Vec<_> = self.last.iter().map(|op| format!("  {op:?}")).collect();
        format!(
            "{} (minor {:?}), acknowledged:\n{}\nin flight: {:?}",
            self.name,
            self.minor,
            last.join("\n"),
            self.pending
        )
    }

    fn version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    /// The server was killed: what is in flight stays so until it is looked at.
    pub(super) fn cut_off(&mut self) {
        self.link = None;
        self.stateids.clear();
        self.recorded_before |= self.recorded_now;
        self.recorded_now = false;
        if self.verifier.is_some() {
            self.verifier_before = self.verifier.take();
        }
    }

    /// The grace period is over: who has not reclaimed is not on record any more.
    pub(super) fn grace_is_over(&mut self) {
        self.recorded_before = false;
    }

    /// The client starts anew as well, and leaves its opens behind.
    pub(super) fn restart(&mut self) {
        self.incarnation += 1;
        let open: Vec<NodeId> =
            self.world.nodes.iter().filter(|(_, node)| node.is_open).map(|(id, _)| *id).collect();
        if let Some(Op::CloseFile { .. }) = self.pending {
            self.pending = None;
        }
        for id in open {
            self.world.node_mut(id).is_open = false;
            self.world.bury_if_gone(id);
        }
        // What was in flight for a file that went with its last open is of no account.
        let nodes = &self.world.nodes;
        self.pending.take_if(|op| !op.needs().iter().all(|id| nodes.contains_key(id)));
    }

    /// Connects to a server that has started, and reclaims.
    pub(super) async fn recover(&mut self, addr: SocketAddr) -> Step<()> {
        let verifier = self.incarnation.to_be_bytes();
        let mut link = Link::connect(addr, self.minor, &self.name, verifier).await?;
        if self.world.node(HOME).fh.is_none() {
            self.find_roots(&mut link).await?;
        }
        let open: Vec<NodeId> =
            self.world.nodes.iter().filter(|(_, node)| node.is_open).map(|(id, _)| *id).collect();
        for id in open {
            self.reclaim(&mut link, id).await?;
        }
        link.complete().await?;
        self.link = Some(link);
        Ok(())
    }

    async fn reclaim(&mut self, link: &mut Link, id: NodeId) -> Step<()> {
        let is_closing = matches!(&self.pending, Some(Op::CloseFile { node }) if *node == id);
        if is_closing {
            self.pending = None;
            self.in_flight += 1;
            if self.world.links(id) == 0 {
                // The close that was in flight takes the file with it, or its contents alone: it is of no use any more.
                self.world.node_mut(id).is_open = false;
                self.world.bury_if_gone(id);
                return Ok(());
            }
        }
        self.recorded_now = true;
        let reply = self.send_reclaim(link, id).await?;
        if !reply.status.is_ok() {
            return Err(unexpected(&format!("reclaim of the open of node {id}"), reply.status));
        }
        self.stateids.insert(id, reply.get::<Open>().stateid);
        Ok(())
    }

    /// Finds its directories, and makes those that are not there.
    async fn find_roots(&mut self, link: &mut Link) -> Step<()> {
        for (id, name) in [(SHARED, "shared"), (HOME, self.name.as_str())] {
            let args = Create4Args {
                objtype: CreateType4::Dir,
                objname: component(name),
                createattrs: mode_attr(0o755),
            };
            let made = link.run(|link| walk(link.compound(), &["export"]).op::<Create>(&args)).await?;
            if made.status != NFS4ERR_EXIST {
                good(made)?;
            }
            let find = |link: &mut Link| walk(link.compound(), &["export", name]).op::<GetAttr>(&wanted());
            let found = good(link.run(find).await?)?.get::<GetAttr>();
            let found = Attributes::of(&found.obj_attributes)?;
            let node = self.world.node_mut(id);
            (node.fh, node.fileid, node.mode) = (Some(found.fh), Some(found.fileid), Some(found.mode));
        }
        Ok(())
    }

    /// Looks at all that it has, and settles what was in flight.
    pub(super) async fn verify(&mut self) -> Result<(), Vec<Stop>> {
        let mut link = self.link.take().ok_or_else(|| vec![Stop::Gone])?;
        let sight = self.look(&mut link).await.map_err(|stop| vec![stop])?;
        self.settle(&sight).map_err(|faults| faults.into_iter().map(Stop::from).collect::<Vec<_>>())?;
        self.link = Some(link);
        Ok(())
    }

    async fn look(&mut self, link: &mut Link) -> Step<Sight> {
        let root = |id| self.world.node(id).fh.clone().unwrap_or_default();
        let (home, shared): (NfsFh4, NfsFh4) = (root(HOME), root(SHARED));
        let mut roots = BTreeMap::new();
        for (id, fh) in [(HOME, &home), (SHARED, &shared)] {
            let found = link.attributes(fh).await?;
            roots.insert(id, found.ok_or_else(|| Fault::lost("a directory's handle is stale"))?);
        }
        let mut unlinked = BTreeMap::new();
        for (id, node) in self.world.nodes.iter().filter(|(_, node)| node.is_open) {
            let Some(fh) = &node.fh else { continue };
            let found = match link.attributes(fh).await? {
                Some(attributes) => Some(link.found(attributes).await?),
                None => None,
            };
            unlinked.insert(*id, found);
        }
        for fh in &self.world.dead {
            // Until it is reclaimed, a file without a name can be there.
            if let Some(found) = link.attributes(fh).await?
                && found.links > 0
            {
                let what = format!("a handle of what is gone leads to {found:?}");
                return Err(Fault::returned(what).into());
            }
        }
        let home = link.entries(&home, "").await?;
        let shared = link.entries(&shared, &self.prefix).await?;
        Ok(Sight { home, shared, unlinked, roots })
    }

    /// Finds out whether what was in flight has happened, and takes over what only a look can tell.
    fn settle(&mut self, sight: &Sight) -> Result<(), Vec<Fault>> {
        let version = self.version();
        let (matches, happened) = match (compare(&self.world, sight), &self.pending) {
            (Ok(matches), _) => (matches, None),
            (Err(faults), None) => return Err(faults),
            (Err(mut faults), Some(op)) => {
                let mut world = self.world.clone();
                world.apply_in_flight(op, version);
                match compare(&world, sight) {
                    Ok(matches) => (matches, Some(world)),
                    Err(if_happened) => {
                        faults.extend(if_happened.into_iter().map(|fault| Fault {
                            what: format!("if the operation in flight has happened: {}", fault.what),
                            ..fault
                        }));
                        return Err(faults);
                    }
                }
            }
        };
        if let Some(world) = happened {
            self.world = world;
        }
        let pending = self.pending.take();
        self.in_flight += u64::from(pending.is_some());
        self.again = pending.filter(|op| matches!(op, Op::CreateFile { how: How::Exclusive(_), .. }));
        for (id, found) in matches {
            let fresh = self.version();
            if let (Kind::File(contents), super::scan::Body::File(bytes)) =
                (&mut self.world.node_mut(id).kind, &found.body)
            {
                contents.adopt(bytes, fresh);
            }
            self.learn(id, &found.attributes).map_err(|fault| vec![fault])?;
        }
        if let Some(home) = sight.roots.get(&HOME) {
            self.learn(HOME, home).map_err(|fault| vec![fault])?;
        }
        Ok(())
    }

    /// Takes over what only an answer tells of an object.
    fn learn(&mut self, id: NodeId, found: &Attributes) -> Result<(), Fault> {
        let node = self.world.node_mut(id);
        node.fh.get_or_insert_with(|| found.fh.clone());
        node.fileid.get_or_insert(found.fileid);
        node.mode.get_or_insert(found.mode);
        self.changes.note(self.world.node(id), found)
    }

    /// Works until the connection ends.
    pub(super) async fn work(&mut self) -> Stop {
        let Some(mut link) = self.link.take() else { return Stop::Gone };
        loop {
            let op = self.again.take().unwrap_or_else(|| self.choose());
            self.pending = Some(op.clone());
            let told = match self.send(&mut link, &op).await {
                Ok(told) => told,
                Err(Stop::Gone) => return Stop::Gone,
                Err(Stop::Refused(what)) => return Stop::Refused(format!("{op:?}: {what}")),
                Err(Stop::Fault(fault)) => {
                    return Fault { what: format!("{op:?}: {}", fault.what), ..fault }.into();
                }
            };
            if let Err(stop) = self.acknowledge(&mut link, op, told).await {
                return stop;
            }
        }
    }

    fn choose(&mut self) -> Op {
        let Self { world, minor, prefix, opens, may_fail, random, .. } = self;
        Chooser { world, minor: *minor, prefix, opens: *opens, may_fail: *may_fail }.choose(random)
    }

    /// Enters an operation that was answered, and compares the answer with what must be.
    async fn acknowledge(&mut self, link: &mut Link, mut op: Op, told: Told) -> Step<()> {
        if let (Op::Copy { len, .. }, Some(copied)) = (&mut op, told.copied) {
            *len = copied;
        }
        let context = |fault: Fault| Fault { what: format!("{op:?}: {}", fault.what), ..fault };
        let version = self.version();
        self.pending = None;
        self.acknowledged += 1;
        self.check_verifier(told.verifier)?;
        self.world.apply(&op, version);
        self.last.push_back(op.clone());
        if self.last.len() > REMEMBERED {
            self.last.pop_front();
        }
        if let Some((id, attributes)) = &told.attributes {
            self.check_answer(*id, attributes).map_err(context)?;
        }
        self.check_directories(&told).map_err(context)?;
        match (&op, told.stateid, &told.attributes) {
            (Op::CloseFile { node }, ..) => drop(self.stateids.remove(node)),
            (_, Some(stateid), Some((id, _))) => self.opened(link, *id, stateid, told.is_unconfirmed).await?,
            _ => {}
        }
        if self.random.below(READS) == 0 { self.read_one(link).await } else { Ok(()) }
    }

    async fn opened(
        &mut self,
        link: &mut Link,
        id: NodeId,
        stateid: Stateid,
        is_unconfirmed: bool,
    ) -> Step<()> {
        self.recorded_now = true;
        let stateid = if is_unconfirmed {
            // What is not confirmed cannot be reclaimed (RFC 7530 section 9.1.11).
            self.world.node_mut(id).is_open = false;
            let confirmed = self.confirm(link, id, stateid).await?;
            self.world.node_mut(id).is_open = true;
            confirmed
        } else {
            stateid
        };
        self.stateids.insert(id, stateid);
        Ok(())
    }

    fn check_answer(&mut self, id: NodeId, found: &Attributes) -> Result<(), Fault> {
        let mut faults = differences(&self.world, id, found);
        if let Some(contents) = self.world.node(id).contents()
            && (contents.is_settled() || !self.may_fail)
            && usize::try_from(found.size) != Ok(contents.current().len())
        {
            faults.push(format!("size {} instead of {}", found.size, contents.current().len()));
        }
        if !faults.is_empty() {
            return Err(Fault::wrong(format!("node {id}: {}", faults.join(", "))));
        }
        self.learn(id, found)
    }

    /// Unless something fails, the write verifier is one for all of an instance, and another in the next (RFC 8881 section 18.32.3).
    fn check_verifier(&mut self, told: Option<Verifier4>) -> Step<()> {
        let Some(told) = told else { return Ok(()) };
        if self.verifier.replace(told).is_some_and(|before| before != told) {
            if !self.may_fail {
                return Err(Stop::Refused("the write verifier changes in the server's life".to_owned()));
            }
            self.world.doubt();
        }
        if self.verifier_before == Some(told) {
            return Err(Fault::wrong("the write verifier is the same after the server was killed").into());
        }
        Ok(())
    }

    fn check_directories(&mut self, told: &Told) -> Result<(), Fault> {
        for (dir, info) in &told.directories {
            let Some(fileid) = self.world.nodes.get(dir).and_then(|node| node.fileid) else { continue };
            // An open of what is there changes nothing.
            if !info.atomic || info.after == info.before {
                continue;
            }
            let seen = self.directory_changes.insert((fileid, info.after), self.acknowledged);
            if seen.is_some_and(|at| at != self.acknowledged) {
                let what = format!("directory {fileid} had the change attribute {:#x} before", info.after);
                return Err(Fault::wrong(what));
            }
        }
        Ok(())
    }

    async fn read_one(&mut self, link: &mut Link) -> Step<()> {
        let files =
            self.world.nodes.iter().filter_map(|(id, node)| Some((*id, node.fh.as_ref()?, node.contents()?)));
        let files: Vec<_> = files.filter(|(.., contents)| contents.is_settled() || !self.may_fail).collect();
        let Some((id, fh, contents)) = files.get(self.random.below(files.len().max(1))) else {
            return Ok(());
        };
        let args = put(fh);
        let found = link.run(|link| link.compound().op::<PutFh>(&args).op::<GetAttr>(&wanted())).await?;
        let found = Attributes::of(&good(found)?.get::<GetAttr>().obj_attributes)?;
        if link.contents(fh, found.size).await? == contents.current() {
            return Ok(());
        }
        Err(Fault::wrong(format!("contents of node {id} are not what was written")).into())
    }
}
