//! What is asked: `kindreg.toml`, then `KINDREG_*`, then flags; the later wins. All mistakes are shown at once.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use clap::builder::FalseyValueParser;

use super::Shared;
use crate::problem::Problem;
use crate::spec::mistake::{Given, Mistake, Source};
use crate::spec::request::{RegistryRequest, Request};
use crate::spec::{Auth, HostTrust, Invalid, file};

/// Name of the file.
pub(super) const FILE: &str = "kindreg.toml";
/// Nobody writes more by hand, and what is asked becomes a label of the record.
const LARGEST: u64 = 256 * 1024;

/// Flags that say what is wanted. Their values are read here and not by clap, which would stop at the first mistake.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What is wanted (over kindreg.toml)")]
pub(super) struct Flags {
    /// Worker nodes besides the control plane [default: 0]
    #[arg(
        long,
        env = "KINDREG_WORKERS",
        value_name = "N",
        allow_hyphen_values = true
    )]
    workers: Option<String>,
    /// Canonical host name of the registry [default: registry.test]
    #[arg(long, env = "KINDREG_HOST", value_name = "NAME")]
    host: Option<String>,
    /// Port of the registry, the same inside and outside; `auto` finds a free one [default: 5001]
    #[arg(
        long,
        env = "KINDREG_PORT",
        value_name = "N",
        allow_hyphen_values = true
    )]
    port: Option<String>,
    /// Image of the nodes [default: kindest/node:v1.34.0]
    #[arg(long, env = "KINDREG_IMAGE", value_name = "NODE_IMAGE")]
    image: Option<String>,
    /// Image of the registry [default: registry:3]
    #[arg(long, env = "KINDREG_REGISTRY_IMAGE", value_name = "IMAGE")]
    registry_image: Option<String>,
    /// Leave /etc/docker/certs.d of the engine's host as it is; `=false` overrides the file
    #[arg(long, env = "KINDREG_NO_HOST_TRUST", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = FalseyValueParser::new())]
    no_host_trust: Option<bool>,
    /// Let everybody use the registries, without a password; `=false` overrides the file
    #[arg(long, env = "KINDREG_NO_AUTH", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = FalseyValueParser::new())]
    no_auth: Option<bool>,
}

/// What a command asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asks<'a> {
    /// The cluster's name alone; a `--name` makes the file needless.
    Name,
    /// All of it.
    Wants(&'a Flags),
    /// What a cluster is to be compared with; a file that is found and about another cluster does not count.
    Compares(&'a Flags),
}

/// What is asked.
pub(super) fn request(shared: &Shared, asks: Asks<'_>) -> Result<Request> {
    let mut mistakes = Vec::new();
    let name = value("--name", shared.given_name.as_deref(), &mut mistakes);
    let mut request = Request::default();
    let path = match asks {
        Asks::Name if shared.given_name.is_some() => None,
        _ => find(shared.config.as_deref())?,
    };
    if let Some(path) = path {
        match parse(&path)? {
            Ok(read) => request = read,
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    if let Some(name) = name {
        let other = request.cluster.is_given() && request.cluster.value != name.value;
        if matches!(asks, Asks::Compares(_)) && other && shared.config.is_none() {
            request = Request::default();
        }
        request.cluster = name;
    }
    let file_is_right = mistakes
        .iter()
        .all(|mistake| !matches!(mistake.at, Source::File(_)));
    if let Asks::Wants(flags) | Asks::Compares(flags) = asks {
        flags.apply(&mut request, &mut mistakes);
    }
    // What clashes within a wrong file has been said, and its values are not those to clash with.
    if file_is_right {
        mistakes.extend(request.mistakes());
    }
    if mistakes.is_empty() {
        return Ok(request);
    }
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let what = match mistakes.len() {
        1 => "there is a mistake in what was asked".to_owned(),
        number => format!("there are {number} mistakes in what was asked"),
    };
    let hint =
        "`kindreg init --schema` prints what kindreg.toml may hold, `kindreg up --help` the flags";
    Err(anyhow!(lines.join("\n")).context(Problem::usage(what, hint)))
}

impl Flags {
    fn apply(&self, request: &mut Request, mistakes: &mut Vec<Mistake>) {
        set(
            &mut request.workers,
            value("--workers", self.workers.as_deref(), mistakes),
        );
        set(
            &mut request.node_image,
            value("--image", self.image.as_deref(), mistakes),
        );
        if let Some(leave) = self.no_host_trust {
            let trust = if leave {
                HostTrust::Leave
            } else {
                HostTrust::Install
            };
            request.host_trust = Given::new(trust, Source::Flag("--no-host-trust".to_owned()));
        }
        if let Some(open) = self.no_auth {
            let auth = if open {
                Auth::Anonymous
            } else {
                Auth::Password
            };
            for registry in request.registries.iter_mut().filter(|one| one.is_ours()) {
                registry.auth = auth;
            }
        }
        let host = value("--host", self.host.as_deref(), mistakes);
        let port = value("--port", self.port.as_deref(), mistakes);
        let image = value("--registry-image", self.registry_image.as_deref(), mistakes);
        let registries = request.registries.iter_mut();
        let mut ours: Vec<&mut RegistryRequest> = registries.filter(|one| one.is_ours()).collect();
        if let [
            RegistryRequest {
                host: old_host,
                port: old_port,
                image: old_image,
                ..
            },
        ] = ours.as_mut_slice()
        {
            set(old_host, host);
            set(old_port, port);
            set(old_image, image);
            return;
        }
        if ours.is_empty() {
            // An image for registries may be set for all clusters of a machine, these included.
            for from in [host.map(|it| it.from), port.map(|it| it.from)]
                .into_iter()
                .flatten()
            {
                let what = "no registry is asked for that kindreg runs".to_owned();
                let advice = format!("say it of an external one in {FILE}");
                mistakes.push(Mistake::new(&from, what).advise(advice));
            }
            return;
        }
        let names: Vec<&str> = ours
            .iter()
            .map(|registry| registry.name.value.as_str())
            .collect();
        let given = [
            host.map(|it| it.from),
            port.map(|it| it.from),
            image.map(|it| it.from),
        ];
        for from in given.into_iter().flatten() {
            let what = format!(
                "which of the registries {} is meant is not clear",
                names.join(", ")
            );
            let advice = format!("with several registries, say it in {FILE}");
            mistakes.push(Mistake::new(&from, what).advise(advice));
        }
    }
}

fn set<T>(field: &mut Given<T>, given: Option<Given<T>>) {
    if let Some(given) = given {
        *field = given;
    }
}

/// The value of a flag, or of its variable.
fn value<T: FromStr<Err = Invalid>>(
    flag: &str,
    text: Option<&str>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Given<T>> {
    let text = text?;
    let variable = format!(
        "KINDREG_{}",
        flag.trim_start_matches('-')
            .replace('-', "_")
            .to_uppercase()
    );
    // clap does not say which of both it was; where they agree it does not matter.
    let by_variable = std::env::var(&variable).is_ok_and(|value| value == text);
    let from = Source::Flag(if by_variable {
        variable
    } else {
        flag.to_owned()
    });
    match text.parse() {
        Ok(value) => Some(Given::new(value, from)),
        Err(invalid) => {
            mistakes.push(Mistake::new(&from, invalid.to_string()));
            None
        }
    }
}

/// The value of one flag, for commands that take no [`Flags`].
pub(super) fn checked<T: FromStr<Err = Invalid>>(flag: &str, text: &str) -> Result<T> {
    let mut mistakes = Vec::new();
    let value = value(flag, Some(text), &mut mistakes);
    value.map(|given| given.value).ok_or_else(|| {
        let what = mistakes.iter().map(ToString::to_string).collect::<String>();
        Problem::usage(what, "`--help` has examples").into()
    })
}

/// The same for a flag that may be given several times.
pub(super) fn checked_all<T: FromStr<Err = Invalid>>(
    flag: &str,
    texts: &[String],
) -> Result<Vec<T>> {
    texts.iter().map(|text| checked(flag, text)).collect()
}

/// The file that counts: the one that was named, or the next `kindreg.toml` from here up to the repository's root.
fn find(named: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(path) = named {
        return Ok(Some(path.to_owned()));
    }
    let here = std::env::current_dir().context("there is no current folder")?;
    let root = here.ancestors().find(|folder| folder.join(".git").exists());
    // Outside of a repository what lies above may be anybody's.
    let root = root.unwrap_or(&here);
    let folders = here
        .ancestors()
        .take_while(|folder| folder.starts_with(root));
    for path in folders.map(|folder| folder.join(FILE)) {
        // The link itself counts too: who may place one chooses what is read.
        match std::fs::symlink_metadata(&path) {
            Ok(found) => refuse_others(&path, found.uid())?,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| unreadable(&path)),
        }
        let file = std::fs::metadata(&path).with_context(|| unreadable(&path))?;
        refuse_others(&path, file.uid())?;
        return Ok(Some(path));
    }
    Ok(None)
}

/// A file of somebody else's is not obeyed unasked, as git does not:
/// <https://github.blog/2022-04-12-git-security-vulnerability-announced/>.
fn refuse_others(path: &Path, owner: u32) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    if owner == user {
        return Ok(());
    }
    let path = path.display();
    Err(Problem::usage(
        format!("{path} belongs to user {owner}, and you are user {user}"),
        format!("if you trust it, name it: --config {path}"),
    )
    .into())
}

fn unreadable(path: &Path) -> Problem {
    Problem::usage(
        format!("can't read {}", path.display()),
        "name another file with --config, or write one: kindreg init",
    )
}

fn parse(path: &Path) -> Result<std::result::Result<Request, Vec<Mistake>>> {
    let text = read(path).map_err(|why| anyhow!(why).context(unreadable(path)))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut load = |relative: &str| read(&folder.join(relative));
    // As short as it can be said from here.
    let here = std::env::current_dir().unwrap_or_default();
    let shown = path
        .strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string();
    Ok(file::parse(&text, &shown, &mut load))
}

/// The text of a file that is one: no pipe that never ends, no device.
fn read(path: &Path) -> std::result::Result<String, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if read as u64 > LARGEST {
        return Err(format!("it has more than {} KiB", LARGEST / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())
}
