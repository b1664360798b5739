//! The binary `loadgen`; everything is in the library.

fn main() -> std::process::ExitCode {
    nostro_loadgen::main()
}
