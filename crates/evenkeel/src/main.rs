//! The Evenkeel binary.

fn main() -> std::process::ExitCode {
    evenkeel::cli::run()
}
