//! `[[command]]` × sudoers and doas.conf.
use super::{Change, Item, Names};
use crate::host::Host;
use crate::manifest::Manifest;
use std::collections::BTreeMap;
use std::path::PathBuf;
pub(super) fn compare_grants(
    _m: &[Manifest],
    _h: &Host,
    _n: &Names,
) -> (Vec<Item>, BTreeMap<PathBuf, Change>) {
    (Vec::new(), BTreeMap::new())
}
