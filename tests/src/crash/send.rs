//! An operation of the load on the wire.

use bytes::Bytes;
use dittofs_framework::attr::{FATTR4_MODE, FATTR4_TIME_MODIFY_SET};
use dittofs_framework::proto::{
    ChangeInfo, Minor, NfsFh4, OPEN4_SHARE_ACCESS_WANT_NO_DELEG, Stateid, Verifier4, component,
};
use dittofs_framework::testing::{Compound, CompoundReply};
use dittofs_framework::xdr::Opaque;
use dittofs_ops::allocate::{Allocate, Allocate4Args};
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::commit::{Commit, Commit4Args};
use dittofs_ops::copy::{Copy, Copy4Args};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::deallocate::{Deallocate, Deallocate4Args};
use dittofs_ops::getattr::GetAttr;
use dittofs_ops::io::StableHow4;
use dittofs_ops::link::{Link as LinkOp, Link4Args};
use dittofs_ops::open::{
    CreatVerfAttr, CreateHow4, OPEN4_RESULT_CONFIRM, Open, Open4Args, OpenClaim4, OpenDelegationType4,
    OpenFlag4,
};
use dittofs_ops::open_confirm::{OpenConfirm, OpenConfirm4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::removexattr::{RemoveXattr, RemoveXattr4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::setxattr::{SetXattr, SetXattr4Args, SetXattrOption4};
use dittofs_ops::write::{Write, Write4Args};

use super::fault::{Fault, Step, Stop};
use super::model::{NodeId, Place};
use super::op::{How, Op, Stable};
use super::wire::{Attributes, Link, good, wanted};
use super::worker::Worker;
use crate::{BOTH, SetTime, fattr, mode_attr, put, size_attr};

/// What the answer to an operation told.
#[derive(Default)]
pub(super) struct Told {
    /// The attributes of the object that was made or changed.
    pub(super) attributes: Option<(NodeId, Attributes)>,
    pub(super) stateid: Option<Stateid>,
    /// The write verifier.
    pub(super) verifier: Option<Verifier4>,
    /// Bytes that were copied, which may be fewer than were asked for (RFC 7862 section 15.2.3).
    pub(super) copied: Option<usize>,
    /// What the directories are after it.
    pub(super) directories: Vec<(NodeId, ChangeInfo)>,
    /// Whether the owner of the open is to be confirmed.
    pub(super) is_unconfirmed: bool,
}

impl Worker {
    fn fh(&self, node: NodeId) -> NfsFh4 {
        self.world.node(node).fh.clone().expect("a node that was seen")
    }

    fn on(&self, link: &Link, node: NodeId) -> Compound {
        link.compound().op::<PutFh>(&put(&self.fh(node)))
    }

    /// The stateid for I/O: of the open, or that of nobody.
    pub(super) fn stateid(&self, node: NodeId) -> Stateid {
        self.stateids.get(&node).copied().unwrap_or(Stateid::ANONYMOUS)
    }

    /// Sends an operation and reads the answer, which must be good.
    pub(super) async fn send(&self, link: &mut Link, op: &Op) -> Step<Told> {
        match op {
            Op::CreateFile { .. } | Op::OpenFile { .. } | Op::OpenTruncating { .. } => {
                self.send_open(link, op).await
            }
            Op::CloseFile { node } => {
                let (stateid, node) = (self.stateid(*node), *node);
                let close = |link: &mut Link| {
                    let args = Close4Args { seqid: link.seqid(), open_stateid: stateid };
                    self.on(link, node).op::<Close>(&args)
                };
                good(link.run(close).await?)?;
                Ok(Told::default())
            }
            Op::CreateDir { .. }
            | Op::CreateSymlink { .. }
            | Op::Rename { .. }
            | Op::Remove { .. }
            | Op::Link { .. } => self.send_naming(link, op).await,
            _ => self.send_change(link, op).await,
        }
    }

    async fn send_open(&self, link: &mut Link, op: &Op) -> Step<Told> {
        let (at, node) = match op {
            Op::CreateFile { at, node, .. } | Op::OpenFile { at, node } | Op::OpenTruncating { at, node } => {
                (at, *node)
            }
            _ => return Err(Fault::wrong("not an open").into()),
        };
        let openhow = open_flag(link.minor, op);
        let claim = OpenClaim4::Null(component(&at.name));
        let open = |link: &mut Link| {
            let args = open_args(link, openhow.clone(), claim.clone());
            self.on(link, at.dir).op::<Open>(&args).op::<GetAttr>(&wanted())
        };
        let reply = good(link.run(open).await?)?;
        let opened = reply.get::<Open>();
        Ok(Told {
            attributes: Some((node, attributes(&reply)?)),
            stateid: Some(opened.stateid),
            directories: vec![(at.dir, opened.cinfo)],
            is_unconfirmed: opened.rflags & OPEN4_RESULT_CONFIRM != 0,
            ..Told::default()
        })
    }

    /// OPEN_CONFIRM, which minor version 0 may ask for.
    pub(super) async fn confirm(
        &self,
        link: &mut Link,
        node: NodeId,
        open_stateid: Stateid,
    ) -> Step<Stateid> {
        let confirm = |link: &mut Link| {
            let args = OpenConfirm4Args { open_stateid, seqid: link.seqid() };
            self.on(link, node).op::<OpenConfirm>(&args)
        };
        Ok(good(link.run(confirm).await?)?.get::<OpenConfirm>())
    }

    /// OPEN with CLAIM_PREVIOUS.
    pub(super) async fn send_reclaim(&self, link: &mut Link, node: NodeId) -> Step<CompoundReply> {
        let claim = OpenClaim4::Previous(OpenDelegationType4::None);
        let open = |link: &mut Link| {
            let args = open_args(link, OpenFlag4::NoCreate(()), claim.clone());
            self.on(link, node).op::<Open>(&args)
        };
        link.run(open).await
    }

    async fn send_naming(&self, link: &mut Link, op: &Op) -> Step<Told> {
        let compound = match op {
            Op::CreateDir { at, mode, .. } => self.creating(link, at, CreateType4::Dir, *mode),
            Op::CreateSymlink { at, target, .. } => {
                let what = CreateType4::Link(Opaque::from(target.as_str()));
                self.creating(link, at, what, 0o777)
            }
            Op::Rename { from, to } => {
                let args = Rename4Args { oldname: component(&from.name), newname: component(&to.name) };
                self.between(link, from.dir, to.dir).op::<Rename>(&args)
            }
            Op::Remove { at } => {
                self.on(link, at.dir).op::<Remove>(&Remove4Args { target: component(&at.name) })
            }
            Op::Link { node, at } => {
                let args = Link4Args { newname: component(&at.name) };
                self.between(link, *node, at.dir).op::<LinkOp>(&args)
            }
            _ => return Err(Fault::wrong("not about names").into()),
        };
        let reply = good(link.run(|_| compound.clone()).await?)?;
        let mut told = Told::default();
        match op {
            Op::CreateDir { at, node, .. } | Op::CreateSymlink { at, node, .. } => {
                told.attributes = Some((*node, attributes(&reply)?));
                told.directories = vec![(at.dir, reply.get::<Create>().cinfo)];
            }
            Op::Rename { from, to } => {
                let renamed = reply.get::<Rename>();
                told.directories = vec![(from.dir, renamed.source_cinfo), (to.dir, renamed.target_cinfo)];
            }
            Op::Remove { at } => told.directories = vec![(at.dir, reply.get::<Remove>().cinfo)],
            Op::Link { at, .. } => told.directories = vec![(at.dir, reply.get::<LinkOp>().cinfo)],
            _ => {}
        }
        Ok(told)
    }

    fn creating(&self, link: &Link, at: &Place, objtype: CreateType4, mode: u32) -> Compound {
        let args = Create4Args { objtype, objname: component(&at.name), createattrs: mode_attr(mode) };
        self.on(link, at.dir).op::<Create>(&args).op::<GetAttr>(&wanted())
    }

    fn between(&self, link: &Link, from: NodeId, to: NodeId) -> Compound {
        self.on(link, from).op::<SaveFh>(&()).op::<PutFh>(&put(&self.fh(to)))
    }

    async fn send_change(&self, link: &mut Link, op: &Op) -> Step<Told> {
        let (node, compound) = self.changing(link, op)?;
        let reply = good(link.run(|_| compound.clone().op::<GetAttr>(&wanted())).await?)?;
        let mut told = Told { attributes: Some((node, attributes(&reply)?)), ..Told::default() };
        told.verifier = match op {
            Op::Write { data, stable, .. } => {
                let written = reply.get::<Write>();
                if usize::try_from(written.count) != Ok(data.len) {
                    return Err(
                        Fault::wrong(format!("{} bytes of {} written", written.count, data.len)).into()
                    );
                }
                if *stable == Stable::FileSync && written.committed != StableHow4::FileSync {
                    return Err(Fault::wrong("FILE_SYNC4 is answered with less").into());
                }
                Some(written.writeverf)
            }
            Op::Commit { .. } => Some(reply.get::<Commit>().writeverf),
            Op::Copy { len, .. } => {
                let copied = reply.get::<Copy>().response;
                let count = usize::try_from(copied.count).unwrap_or(usize::MAX);
                if count == 0 || count > *len {
                    return Err(Stop::Refused(format!("{count} bytes of {len} copied")));
                }
                told.copied = Some(count);
                Some(copied.writeverf)
            }
            _ => None,
        };
        Ok(told)
    }

    /// The compound of an operation on one object, and which.
    fn changing(&self, link: &Link, op: &Op) -> Step<(NodeId, Compound)> {
        let set = |node: NodeId, obj_attributes| {
            let args = Setattr4Args { stateid: self.stateid(node), obj_attributes };
            (node, self.on(link, node).op::<SetAttr>(&args))
        };
        Ok(match op {
            Op::Write { node, offset, data, stable } => {
                let args = Write4Args {
                    stateid: self.stateid(*node),
                    offset: wide(*offset),
                    stable: match stable {
                        Stable::Unstable => StableHow4::Unstable,
                        Stable::DataSync => StableHow4::DataSync,
                        Stable::FileSync => StableHow4::FileSync,
                    },
                    data: Opaque(Bytes::from(data.bytes())),
                };
                (*node, self.on(link, *node).op::<Write>(&args))
            }
            Op::Commit { node } => {
                (*node, self.on(link, *node).op::<Commit>(&Commit4Args { offset: 0, count: 0 }))
            }
            Op::Resize { node, size } => set(*node, size_attr(wide(*size))),
            Op::SetMode { node, mode } => set(*node, fattr(&[(FATTR4_MODE, mode)])),
            Op::SetTime { node, time } => {
                set(*node, fattr(&[(FATTR4_TIME_MODIFY_SET, &SetTime::Client(*time))]))
            }
            Op::SetXattr { node, name, value } => {
                let value = Opaque(Bytes::from(value.bytes()));
                let args = SetXattr4Args { option: SetXattrOption4::Either, key: component(name), value };
                (*node, self.on(link, *node).op::<SetXattr>(&args))
            }
            Op::RemoveXattr { node, name } => {
                (*node, self.on(link, *node).op::<RemoveXattr>(&RemoveXattr4Args { name: component(name) }))
            }
            Op::Allocate { node, offset, len } => {
                let (offset, length) = (wide(*offset), wide(*len));
                let args = Allocate4Args { stateid: self.stateid(*node), offset, length };
                (*node, self.on(link, *node).op::<Allocate>(&args))
            }
            Op::Deallocate { node, offset, len } => {
                let (offset, length) = (wide(*offset), wide(*len));
                let args = Deallocate4Args { stateid: self.stateid(*node), offset, length };
                (*node, self.on(link, *node).op::<Deallocate>(&args))
            }
            Op::Copy { from, from_offset, to, to_offset, len } => {
                let args = Copy4Args {
                    src_stateid: self.stateid(*from),
                    dst_stateid: self.stateid(*to),
                    src_offset: wide(*from_offset),
                    dst_offset: wide(*to_offset),
                    count: wide(*len),
                    consecutive: true,
                    synchronous: true,
                    source_server: Vec::new(),
                };
                (*to, self.between(link, *from, *to).op::<Copy>(&args))
            }
            _ => return Err(Fault::wrong("not about one object").into()),
        })
    }
}

fn open_flag(minor: Minor, op: &Op) -> OpenFlag4 {
    match op {
        Op::CreateFile { how, mode, .. } => {
            let attributes = mode.map_or_else(|| fattr(&[]), mode_attr);
            OpenFlag4::Create(match how {
                How::Unchecked => CreateHow4::Unchecked(attributes),
                How::Guarded => CreateHow4::Guarded(attributes),
                How::Exclusive(verifier) if minor.has_sessions() => {
                    CreateHow4::Exclusive4_1(CreatVerfAttr { cva_verf: *verifier, cva_attrs: attributes })
                }
                How::Exclusive(verifier) => CreateHow4::Exclusive(*verifier),
            })
        }
        Op::OpenTruncating { .. } => OpenFlag4::Create(CreateHow4::Unchecked(size_attr(0))),
        _ => OpenFlag4::NoCreate(()),
    }
}

fn open_args(link: &mut Link, openhow: OpenFlag4, claim: OpenClaim4) -> Open4Args {
    let wants = if link.minor.has_sessions() { OPEN4_SHARE_ACCESS_WANT_NO_DELEG } else { 0 };
    Open4Args {
        seqid: link.seqid(),
        share_access: BOTH | wants,
        share_deny: 0,
        owner: link.owner(),
        openhow,
        claim,
    }
}

fn attributes(reply: &CompoundReply) -> Step<Attributes> {
    Attributes::of(&reply.get::<GetAttr>().obj_attributes)
}

/// As an offset or length of the protocol.
pub(super) fn wide(number: usize) -> u64 {
    u64::try_from(number).expect("a number")
}
