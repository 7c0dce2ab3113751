//! Changes of names and attributes (RFC 8881 sections 18.25, 18.26 and 18.30).

use dittofs_framework::proto::{NFS4ERR_GRACE, NFS4ERR_NOENT, Stateid};
use dittofs_framework::testing::OpReply;

use super::{Cx, Expect, Fh, Model, Touch, check};
use crate::simulation::request::{FileNo, Kind, NameNo};

impl Model {
    pub(super) fn remove(&mut self, cx: &Cx, name: NameNo, result: &OpReply) {
        assert_eq!(cx.fh, Some(Fh::Dir));
        if self.is_in_grace() {
            return check(&Expect::only(NFS4ERR_GRACE), result);
        }
        let Some(file) = self.names[name.0] else {
            return check(&Expect::only(NFS4ERR_NOENT), result);
        };
        let delayed = self.delayed_change(cx, file);
        check(&Expect::unless(delayed.into_iter().collect()), result);
        if result.status.is_ok() {
            self.unlink(name);
            self.touches.push(Touch { file, kind: Kind::Write });
        }
    }

    fn unlink(&mut self, name: NameNo) {
        if let Some(file) = self.names[name.0].take() {
            self.files[file.0].is_linked = false;
        }
    }

    pub(super) fn rename(&mut self, cx: &Cx, from: NameNo, to: NameNo, result: &OpReply) {
        if self.is_in_grace() {
            return check(&Expect::only(NFS4ERR_GRACE), result);
        }
        let (source, replaced) = (self.names[from.0], self.names[to.0]);
        let mut delayed = None;
        // The second is not looked at before the first is free.
        for file in [source, replaced].into_iter().flatten() {
            delayed = delayed.or_else(|| self.delayed_change(cx, file));
        }
        let wrong = delayed.or(source.is_none().then_some(NFS4ERR_NOENT));
        check(&Expect::unless(wrong.into_iter().collect()), result);
        if result.status.is_ok() {
            let touched = [source, replaced].into_iter().flatten();
            self.touches.extend(touched.map(|file| Touch { file, kind: Kind::Write }));
            if from != to {
                self.unlink(to);
                self.names[to.0] = self.names[from.0].take();
            }
        }
    }

    pub(super) fn set_attributes(&mut self, cx: &Cx, stateid: Stateid, size: Option<u64>, result: &OpReply) {
        let file = cx.file().expect("a file");
        let mut wrong = match size {
            Some(_) => self.wrong_with_io(cx, stateid, crate::WRITE),
            None => Vec::new(),
        };
        if wrong.is_empty() {
            wrong.extend(self.delayed_change(cx, file));
        }
        wrong.extend(self.stale(file));
        check(&Expect::unless(wrong), result);
        if result.status.is_ok() {
            // While clients reclaim, I/O and opens wait (RFC 8881 section 8.4.2.1); for other attributes than the size they have to
            // ask again, as after any restart.
            if size.is_some() || !self.is_in_grace() {
                self.touches.push(Touch { file, kind: Kind::Write });
            }
            if let Some(size) = size {
                self.truncate(file, size);
            }
        }
    }

    fn truncate(&mut self, file: FileNo, size: u64) {
        let len = usize::try_from(size).expect("a small size");
        let file = &mut self.files[file.0];
        file.content[len..].fill(0);
        file.len = len;
    }
}
