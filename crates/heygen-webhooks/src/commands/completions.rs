//! `completions`: the script that a package installs for a shell. It asks the program itself what can follow, so that event
//! names and ids are offered too.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

use crate::cli::{Completions, definition};
use crate::failure::Failure;
use crate::output::{self, stderr, tame};

mod values;

pub(super) fn run(options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    if let Some(shell) = shells.completer(&options.shell.to_string()) {
        shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    }
    if options.shell == clap_complete::Shell::Zsh {
        script.extend(FIRST_CALL.as_bytes());
    }
    Ok(output::write_bytes(script)?)
}

/// Answers the script of a shell, if it is what asks. Nothing may be printed before.
pub(crate) fn answered() -> Option<ExitCode> {
    let shell = env::var_os(VARIABLE).unwrap_or_default();
    let is_set = !shell.is_empty() && shell != "0";
    let name = Path::new(&shell).file_stem().unwrap_or_default();
    if is_set
        && Shells::builtins()
            .completer(&name.to_string_lossy())
            .is_none()
    {
        // Set by hand: every command would say nothing and succeed.
        stderr::say(format!(
            "error: {VARIABLE}: `{}` is no shell; the variable is for the scripts of `completions`, unset it\n",
            tame(&shell.to_string_lossy())
        ));
        return Some(ExitCode::from(2));
    }
    let answer = CompleteEnv::with_factory(|| values::completed(definition()));
    let answer = answer
        .var(VARIABLE)
        .bin(PROGRAM)
        .try_complete(env::args_os(), env::current_dir().ok().as_deref());
    // Nothing that is said on a line that is being typed would help.
    answer.unwrap_or(true).then_some(ExitCode::SUCCESS)
}

const PROGRAM: &str = "heygen-webhooks";
const VARIABLE: &str = "HEYGEN_WEBHOOKS_COMPLETE";

/// A file that zsh loads when it first completes the command is the function that is to complete, not only its definition.
const FIRST_CALL: &str = "
if [[ $funcstack[1] == _heygen-webhooks ]]; then
    _clap_dynamic_completer_heygen_webhooks \"$@\"
fi
";
