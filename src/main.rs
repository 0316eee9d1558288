//! The `perms` binary; everything it does is in the library.

fn main() -> std::process::ExitCode {
    perms::cli::main()
}
