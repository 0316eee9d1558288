//! Labels on disk beside those of the host's specifications.

use super::sights::Sight;
use crate::host::contexts::file_kind;
use crate::selinux::contexts::compare::{Comparison, compare};
use crate::selinux::contexts::{Answer, FileContexts, Lookups};
use crate::sys::mounts::Mount;
use crate::sys::{HIDDEN, Kind};

/// What labels are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// The specifications.
    pub contexts: &'a FileContexts,
    /// Types that administrators may choose, which restorecon leaves (customizable_types).
    pub customizable: &'a [Vec<u8>],
    /// Another user, role or level counts, too, as for `restorecon -F`.
    pub full: bool,
    /// The running kernel has a policy loaded: file systems say whether they keep labels (`seclabel`).
    pub active: bool,
    /// What the running kernel says in place of a label that it does not tell.
    pub hidden: Option<&'a [u8]>,
}

impl<'a> Labels<'a> {
    pub(super) fn check(&self) -> LabelCheck<'a> {
        LabelCheck { labels: *self, lookups: self.contexts.lookups(), mount: None }
    }
}

/// The comparison as one thread makes it.
pub(super) struct LabelCheck<'a> {
    labels: Labels<'a>,
    lookups: Lookups<'a>,
    /// The last mount asked about, and the answer.
    mount: Option<(u64, bool)>,
}

impl LabelCheck<'_> {
    /// Whether objects on this mount are to have labels of their own.
    pub(super) fn on(&mut self, mount: Option<&Mount>) -> bool {
        let Some(mount) = mount else { return true };
        match self.mount {
            Some((id, answer)) if id == mount.id => answer,
            _ => {
                let answer = mount.keeps_labels(self.labels.active);
                self.mount = Some((mount.id, answer));
                answer
            }
        }
    }

    /// What is the matter with a label; none if nothing is.
    pub(super) fn look(&mut self, path: &[u8], kind: Kind, is: Option<&[u8]>) -> Option<Sight> {
        let should = match self.lookups.lookup(path, Some(file_kind(kind))) {
            Answer::Context(spec) => spec.context.as_deref()?.as_bytes(),
            Answer::Undecided(_) => return Some(Sight::Undecided),
            Answer::LeaveAlone(_) | Answer::Unspecified => return None,
        };
        if is.is_some() && is == self.labels.hidden {
            return Some(Sight::Unread(format!("its label is not known: {HIDDEN}")));
        }
        let customizable = |t: &[u8]| self.labels.customizable.iter().any(|c| c == t);
        let wrong = |user_and_level| {
            Some(Sight::Label { is: is.map(<[u8]>::to_vec), should: should.to_vec(), user_and_level })
        };
        match is.map(|is| compare(is, should, customizable)) {
            Some(Comparison::Equal) => None,
            Some(Comparison::TypeOnly | Comparison::Customized) => {
                if self.labels.full {
                    wrong(true)
                } else {
                    None
                }
            }
            None | Some(Comparison::Wrong) => wrong(false),
        }
    }
}
