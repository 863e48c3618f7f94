//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use kindreg::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ =
                std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(cli::run(cli));
    ExitCode::from(exit as u8)
}
