//! Sudoers and doas as a host has them.
