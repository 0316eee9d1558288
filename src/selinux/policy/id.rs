//! Numbers of the policy's symbols: from 1 on, and not to be mixed up.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;

/// The number of a symbol of kind `T`, from 1 on, as the policy numbers it.
pub struct Id<T>(NonZeroU32, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// The id with this number; `None` for 0, which the format uses for "none".
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(v) => Some(Self(v, PhantomData)),
            None => None,
        }
    }

    /// The number in the policy, from 1 on.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The position in a bitmap of such symbols, from 0 on.
    pub const fn bit(self) -> u32 {
        self.0.get() - 1
    }

    /// The position in a list of such symbols, from 0 on.
    pub const fn index(self) -> usize {
        self.bit() as usize
    }

    /// The id at a position in a bitmap.
    pub const fn from_bit(bit: u32) -> Option<Self> {
        match bit.checked_add(1) {
            Some(v) => Self::new(v),
            None => None,
        }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident, $tag:ident;)*) => {
        $(
            #[doc(hidden)]
            #[derive(Debug)]
            pub enum $tag {}
            $(#[$doc])*
            pub type $id = Id<$tag>;
        )*
    };
}
ids! {
    /// A set of permissions that classes share.
    CommonId, CommonTag;
    /// An object class.
    ClassId, ClassTag;
    /// A role.
    RoleId, RoleTag;
    /// A type or an attribute: they share one numbering.
    TypeId, TypeTag;
    /// An SELinux user.
    UserId, UserTag;
    /// A boolean.
    BooleanId, BooleanTag;
    /// A sensitivity; a greater number dominates.
    SensitivityId, SensitivityTag;
    /// A category.
    CategoryId, CategoryTag;
}

/// The role `object_r`, which every policy numbers 1 (the kernel's `OBJECT_R_VAL`).
pub const OBJECT_R: RoleId = Id(NonZeroU32::MIN, PhantomData);
