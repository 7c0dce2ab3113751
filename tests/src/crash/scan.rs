//! What a client finds.

use std::collections::BTreeMap;

use dittofs_framework::proto::{FileType, NFS4ERR_STALE, NfsFh4, Stateid, component};
use dittofs_ops::getattr::GetAttr;
use dittofs_ops::getxattr::{GetXattr, GetXattr4Args};
use dittofs_ops::listxattrs::{ListXattrs, ListXattrs4Args};
use dittofs_ops::lookup::{Lookup, Lookup4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::readdir::{ReadDir, Readdir4Args};
use dittofs_ops::readlink::ReadLink;

use super::fault::{Fault, Step};
use super::send::wide;
use super::wire::{Attributes, Link, good, unexpected, wanted};
use crate::put;

/// An object as a client finds it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) attributes: Attributes,
    pub(super) body: Body,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    File(Vec<u8>),
    Dir(Entries),
    Symlink(String),
    Other,
}

/// A directory's entries by name.
pub(super) type Entries = BTreeMap<String, Found>;

const PAGE: u32 = 64 << 10;

impl Link {
    /// The attributes of an object; `None` if its handle is stale.
    pub(super) async fn attributes(&mut self, fh: &NfsFh4) -> Step<Option<Attributes>> {
        let args = put(fh);
        let reply = self.run(|link| link.compound().op::<PutFh>(&args).op::<GetAttr>(&wanted())).await?;
        match reply.status {
            NFS4ERR_STALE => Ok(None),
            status if !status.is_ok() => Err(unexpected("GETATTR of a handle that was given out", status)),
            _ => Attributes::of(&reply.get::<GetAttr>().obj_attributes).map(Some),
        }
    }

    /// The names in a directory with this beginning, with the attributes of what they stand for.
    pub(super) async fn list(&mut self, dir: &NfsFh4, prefix: &str) -> Step<BTreeMap<String, Attributes>> {
        let (mut cookie, mut cookieverf) = (0, [0; 8]);
        let mut listed = BTreeMap::new();
        loop {
            let args = Readdir4Args {
                cookie,
                cookieverf,
                dircount: 0,
                maxcount: PAGE,
                attr_request: wanted().attr_request,
            };
            let fh = put(dir);
            let page = self.run(|link| link.compound().op::<PutFh>(&fh).op::<ReadDir>(&args)).await?;
            let page = good(page)?.get::<ReadDir>();
            cookieverf = page.cookieverf;
            for entry in page.entries {
                cookie = entry.cookie;
                let name = String::from_utf8_lossy(&entry.name).into_owned();
                let attributes = Attributes::of(&entry.attrs)?;
                if name.starts_with(prefix) && listed.insert(name.clone(), attributes).is_some() {
                    return Err(Fault::wrong(format!("{name} is listed twice")).into());
                }
            }
            if page.eof {
                return Ok(listed);
            }
        }
    }

    /// The entries of a directory with this beginning, and all below them.
    pub(super) async fn entries(&mut self, dir: &NfsFh4, prefix: &str) -> Step<Entries> {
        let mut entries = Entries::new();
        for (name, attributes) in self.list(dir, prefix).await? {
            self.check_lookup(dir, &name, &attributes).await?;
            let found = Box::pin(self.found(attributes)).await?;
            entries.insert(name, found);
        }
        Ok(entries)
    }

    /// A name leads to what READDIR says.
    async fn check_lookup(&mut self, dir: &NfsFh4, name: &str, listed: &Attributes) -> Step<()> {
        let (fh, name) = (put(dir), Lookup4Args { objname: component(name) });
        let find =
            |link: &mut Self| link.compound().op::<PutFh>(&fh).op::<Lookup>(&name).op::<GetAttr>(&wanted());
        let found = good(self.run(find).await?)?.get::<GetAttr>();
        let found = Attributes::of(&found.obj_attributes)?;
        if found == *listed {
            return Ok(());
        }
        Err(Fault::wrong(format!("{:?}: LOOKUP {found:?}, READDIR {listed:?}", name.objname)).into())
    }

    /// All of an object with these attributes.
    pub(super) async fn found(&mut self, attributes: Attributes) -> Step<Found> {
        let fh = attributes.fh.clone();
        let body = match attributes.file_type {
            FileType::Reg => Body::File(self.contents(&fh, attributes.size).await?),
            FileType::Dir => Body::Dir(self.entries(&fh, "").await?),
            FileType::Lnk => {
                let args = put(&fh);
                let read = |link: &mut Self| link.compound().op::<PutFh>(&args).op::<ReadLink>(&());
                let target = good(self.run(read).await?)?.get::<ReadLink>().link;
                Body::Symlink(String::from_utf8_lossy(&target).into_owned())
            }
            _ => Body::Other,
        };
        let has_xattrs = self.minor.number() >= 2 && attributes.file_type == FileType::Reg;
        let xattrs = if has_xattrs { self.xattrs(&fh).await? } else { BTreeMap::new() };
        Ok(Found { attributes, body, xattrs })
    }

    /// What READ gives, to the end that the size tells.
    pub(super) async fn contents(&mut self, fh: &NfsFh4, size: u64) -> Step<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let read = Read4Args { stateid: Stateid::ANONYMOUS, offset: wide(bytes.len()), count: PAGE };
            let args = put(fh);
            let reply = self.run(|link| link.compound().op::<PutFh>(&args).op::<Read>(&read)).await?;
            let got = good(reply)?.get::<Read>();
            bytes.extend_from_slice(&got.data);
            if got.eof {
                break;
            }
            if got.data.is_empty() {
                return Err(Fault::wrong(format!("no bytes and no end at {}", bytes.len())).into());
            }
        }
        if wide(bytes.len()) != size {
            return Err(Fault::wrong(format!("{} bytes of a size of {size}", bytes.len())).into());
        }
        Ok(bytes)
    }

    async fn xattrs(&mut self, fh: &NfsFh4) -> Step<BTreeMap<String, Vec<u8>>> {
        let args = put(fh);
        let list = ListXattrs4Args { cookie: 0, maxcount: PAGE };
        let listed = self.run(|link| link.compound().op::<PutFh>(&args).op::<ListXattrs>(&list)).await?;
        let listed = good(listed)?.get::<ListXattrs>();
        let mut xattrs = BTreeMap::new();
        for name in listed.names {
            let get = GetXattr4Args { name: name.clone() };
            let value = self.run(|link| link.compound().op::<PutFh>(&args).op::<GetXattr>(&get)).await?;
            let value = good(value)?.get::<GetXattr>();
            xattrs.insert(String::from_utf8_lossy(&name).into_owned(), value.to_vec());
        }
        Ok(xattrs)
    }
}
