use std::future::IntoFuture;
use std::pin::Pin;

use dittofs_framework::proto::{
    NfsFh4, OPEN4_RESULT_NO_OPEN_STATEID, OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
    OPEN4_SHARE_ACCESS_WANT_READ_DELEG, OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG, OpenDelegation4, Stateid,
    Status,
};
use dittofs_ops::open::{CreateHow4, OpenClaim4, OpenFlag4};

use super::{DelegClient, Wire};
use crate::{BOTH, OpenFile, READ, WRITE, fattr, unchecked};

/// An OPEN of a file in the first share: made if it is not there, with no wants, unless it says otherwise. Awaited, it must succeed.
pub struct Opening<'a> {
    client: &'a mut DelegClient,
    name: String,
    access: u32,
    deny: u32,
    want: u32,
    how: OpenFlag4,
    opener: String,
    /// Another claim than the name, for the current file.
    claim: Option<(NfsFh4, OpenClaim4)>,
}

/// What OPEN answered.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The file.
    pub fh: NfsFh4,
    /// The open stateid.
    pub stateid: Stateid,
    /// OPEN4_RESULT_*.
    pub rflags: u32,
    /// What there is of a delegation.
    pub delegation: OpenDelegation4,
}

/// A delegation that a client holds.
#[derive(Debug, Clone)]
pub struct Delegation {
    /// The file.
    pub fh: NfsFh4,
    /// The delegation.
    pub stateid: Stateid,
}

impl Opened {
    /// The file as one that is open.
    pub fn file(&self) -> OpenFile {
        OpenFile { fh: self.fh.clone(), stateid: self.stateid }
    }

    /// The delegation, of either kind.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn delegated(&self) -> Delegation {
        let stateid = self.delegation.stateid();
        let stateid = stateid.unwrap_or_else(|| panic!("no delegation: {:?}", self.delegation));
        Delegation { fh: self.fh.clone(), stateid }
    }

    /// The delegation, which must be for reading.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn read_delegation(&self) -> Delegation {
        let delegation = &self.delegation;
        assert!(
            matches!(delegation, OpenDelegation4::Read(_) | OpenDelegation4::ReadAttrs(_)),
            "{delegation:?}"
        );
        self.delegated()
    }

    /// The delegation, which must be for writing.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn write_delegation(&self) -> Delegation {
        let delegation = &self.delegation;
        assert!(
            matches!(delegation, OpenDelegation4::Write(_) | OpenDelegation4::WriteAttrs(_)),
            "{delegation:?}"
        );
        self.delegated()
    }
}

impl<'a> Opening<'a> {
    pub(super) fn new(client: &'a mut DelegClient, name: &str) -> Self {
        Self {
            client,
            name: name.to_owned(),
            access: BOTH,
            deny: 0,
            want: 0,
            how: unchecked(),
            opener: "opener".to_owned(),
            claim: None,
        }
    }

    /// For reading.
    #[must_use]
    pub fn read(self) -> Self {
        self.access(READ)
    }

    /// For writing.
    #[must_use]
    pub fn write(self) -> Self {
        self.access(WRITE)
    }

    /// With this share_access.
    #[must_use]
    pub fn access(self, access: u32) -> Self {
        Self { access, ..self }
    }

    /// With this share_deny.
    #[must_use]
    pub fn denying(self, deny: u32) -> Self {
        Self { deny, ..self }
    }

    /// With these OPEN4_SHARE_ACCESS_WANT_*, which minor version 0 does not have and does not send.
    #[must_use]
    pub fn wanting(self, want: u32) -> Self {
        Self { want, ..self }
    }

    /// With OPEN4_SHARE_ACCESS_WANT_READ_DELEG.
    #[must_use]
    pub fn wanting_read(self) -> Self {
        self.wanting(OPEN4_SHARE_ACCESS_WANT_READ_DELEG)
    }

    /// With OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG.
    #[must_use]
    pub fn wanting_write(self) -> Self {
        self.wanting(OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG)
    }

    /// With OPEN4_SHARE_ACCESS_WANT_NO_DELEG.
    #[must_use]
    pub fn wanting_none(self) -> Self {
        self.wanting(OPEN4_SHARE_ACCESS_WANT_NO_DELEG)
    }

    /// By this open-owner.
    #[must_use]
    pub fn by(self, opener: &str) -> Self {
        Self { opener: opener.to_owned(), ..self }
    }

    /// Of a file that must be there.
    #[must_use]
    pub fn existing(self) -> Self {
        Self { how: OpenFlag4::NoCreate(()), ..self }
    }

    /// Emptying the file (UNCHECKED4 with size 0).
    #[must_use]
    pub fn truncating(self) -> Self {
        let size = fattr(&[(dittofs_framework::attr::FATTR4_SIZE, &0_u64)]);
        Self { how: OpenFlag4::Create(CreateHow4::Unchecked(size)), ..self }
    }

    /// Of this file, by another claim than a name.
    #[must_use]
    pub fn claiming(self, fh: &NfsFh4, claim: OpenClaim4) -> Self {
        Self { claim: Some((fh.clone(), claim)), how: OpenFlag4::NoCreate(()), ..self }
    }

    /// What comes of it.
    pub async fn result(self) -> Result<Opened, Status> {
        let Self { client, name, access, deny, want, how, opener, claim } = self;
        let want = if matches!(client.wire, Wire::V4_0(_)) { 0 } else { want };
        let mut args = client.open_args(&name, access | want, deny, &opener, how);
        let fh = claim.map(|(fh, claim)| {
            args.claim = claim;
            fh
        });
        let (fh, answer) = client.try_open(fh.as_ref(), &args).await?;
        let mut stateid = answer.stateid;
        if let Wire::V4_0(wire) = &mut client.wire {
            stateid = wire.confirm_if_asked(&fh, &answer, &opener).await;
        }
        if answer.rflags & OPEN4_RESULT_NO_OPEN_STATEID == 0 {
            let file = OpenFile { fh: fh.clone(), stateid };
            client.open.retain(|(open, _)| open.stateid.other != stateid.other);
            client.open.push((file, opener));
        }
        Ok(Opened { fh, stateid, rflags: answer.rflags, delegation: answer.delegation })
    }
}

impl<'a> IntoFuture for Opening<'a> {
    type Output = Opened;
    type IntoFuture = Pin<Box<dyn Future<Output = Opened> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.result().await.expect("opened") })
    }
}
