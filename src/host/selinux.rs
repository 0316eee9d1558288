//! SELinux state of a host.
