//! Templates of home directories.
