//! doas.conf: the policy of doas, read without loss, asked, edited and written.
