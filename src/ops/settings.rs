//! What is asked for: `kindreg.toml`, and what is given over it. Reads files of the user's; the text is `spec`'s to parse.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::problem::Problem;
use crate::spec::mistake::{Given, Mistake, Source};
use crate::spec::overrides::Overrides;
use crate::spec::request::Request;
use crate::spec::{ClusterName, file};

/// Name of the settings file.
pub const FILE: &str = "kindreg.toml";
/// Nobody writes more by hand, and what is asked for becomes a label of the record.
const LARGEST: u64 = 256 * 1024;

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a> {
    /// A settings file; `None` for the next `kindreg.toml` from the current folder up to the repository's root.
    pub config: Option<&'a Path>,
    /// The cluster's name, over that of the file.
    pub name: Option<Given<String>>,
    /// What is given over the file.
    pub overrides: Option<&'a Overrides>,
}

/// How much of the settings counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The cluster's name alone; a given name makes the file needless.
    Name,
    /// All of it.
    Everything,
    /// What a cluster is compared with; a file that is found and about another cluster does not count.
    Comparison,
}

/// Returns what is asked for.
///
/// # Errors
/// Every mistake in it, each with its place.
pub fn settings(sources: &Sources<'_>, need: Need) -> Result<Request> {
    let mut mistakes = Vec::new();
    let name: Option<Given<ClusterName>> = sources
        .name
        .as_ref()
        .and_then(|name| name.parsed(&mut mistakes));
    let mut request = Request::default();
    let path = match need {
        Need::Name if sources.name.is_some() => None,
        Need::Name | Need::Everything | Need::Comparison => find(sources.config)?,
    };
    if let Some(path) = path {
        match parse(&path)? {
            Ok(read) => request = read,
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    if let Some(name) = name {
        let other = request.cluster.is_given() && request.cluster.value != name.value;
        if need == Need::Comparison && other && sources.config.is_none() {
            request = Request::default();
        }
        request.cluster = name;
    }
    let file_is_right = mistakes
        .iter()
        .all(|mistake| !matches!(mistake.at, Source::File(_)));
    if let Some(overrides) = sources.overrides {
        overrides.apply(&mut request, &mut mistakes);
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
        1 => "invalid configuration".to_owned(),
        number => format!("invalid configuration: {number} mistakes"),
    };
    let hint =
        "see what kindreg.toml may hold: kindreg init --schema, or the flags: kindreg up --help";
    Err(anyhow!(lines.join("\n")).context(Problem::usage(what, hint)))
}

/// The file that counts: the one that was named, or the next `kindreg.toml` from here up to the repository's root.
fn find(named: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(path) = named {
        return Ok(Some(path.to_owned()));
    }
    let here = std::env::current_dir().context("no current folder")?;
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
        return Err("not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if read as u64 > LARGEST {
        return Err(format!("larger than {} KiB", LARGEST / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "not valid UTF-8".to_owned())
}
