//! Reads `kindreg.toml` and applies what overrides it. `spec` parses the text.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};

use crate::problem::Problem;
use crate::shell;
use crate::spec::mistake::{Given, Mistake, Source};
use crate::spec::overrides::Overrides;
use crate::spec::request::{Request, SettingsFile};
use crate::spec::{ClusterName, Spec, file};

/// Name of the settings file.
pub const FILE: &str = "kindreg.toml";
/// Largest settings file: nobody writes more by hand, and the settings become a label of the record.
const LARGEST: u64 = 256 * 1024;

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a> {
    /// The folder that relative paths are relative to; `None` for the current folder of the process.
    pub folder: Option<&'a Path>,
    /// A settings file; `None` for the nearest `kindreg.toml`, from the folder up to the repository's root.
    pub config: Option<&'a Path>,
    /// The cluster's name; overrides the file.
    pub name: Option<Given<String>>,
    /// Other values that override the file.
    pub overrides: Option<&'a Overrides>,
}

/// Which settings an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The cluster's name alone; with a given name no file is read, and never those that `kindreg.toml` names.
    Name,
    /// All of it.
    Everything,
}

/// Reads the settings.
///
/// # Errors
/// All mistakes at once, each with its place.
pub fn settings(sources: &Sources<'_>, need: Need) -> Result<Request> {
    let mut mistakes = Vec::new();
    let name: Option<Given<ClusterName>> = sources
        .name
        .as_ref()
        .and_then(|name| name.parsed(&mut mistakes));
    let mut request = Request::default();
    let path = match need {
        Need::Name if sources.name.is_some() => None,
        Need::Name | Need::Everything => find(sources)?,
    };
    if let Some(path) = path {
        match parse(sources, &path, need)? {
            Ok(read) => {
                request = read;
                request.file = match sources.config {
                    Some(_) => SettingsFile::Named,
                    None => SettingsFile::Found,
                };
            }
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    let of_another = sources.config.is_none()
        && name
            .as_ref()
            .is_some_and(|name| request.cluster.is_given() && request.cluster.value != name.value);
    if let Some(name) = name {
        request.cluster = name;
    }
    if of_another {
        let mut without = Request {
            cluster: request.cluster.clone(),
            ..Request::default()
        };
        if let Some(overrides) = sources.overrides {
            // What is wrong with the flags is said below.
            overrides.apply(&mut without, &mut Vec::new());
        }
        request.file = SettingsFile::OfAnother {
            without: Box::new(without),
        };
    }
    let file_is_right = mistakes
        .iter()
        .all(|mistake| !matches!(mistake.at, Source::File(_)));
    if let Some(overrides) = sources.overrides {
        overrides.apply(&mut request, &mut mistakes);
    }
    // A wrong file was parsed in part, so values that clash with it would be false alarms.
    if file_is_right {
        mistakes.extend(request.mistakes());
    }
    if mistakes.is_empty() {
        Ok(request)
    } else {
        Err(refused(&mistakes))
    }
}

/// Returns a request over the record of its cluster: what nobody sets now keeps its value.
///
/// # Errors
/// All conflicts between the two at once.
pub(super) fn over(request: &Request, record: &Spec) -> Result<Request> {
    let over = request.clone().over(record);
    over.map_err(|mistakes| refused(&mistakes))
}

fn refused(mistakes: &[Mistake]) -> Error {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let what = match mistakes.len() {
        1 => "invalid configuration".to_owned(),
        number => format!("invalid configuration: {number} mistakes"),
    };
    let hint = "see all settings: kindreg init example.toml; all flags: kindreg up --help";
    anyhow!(lines.join("\n")).context(Problem::usage(what, hint))
}

impl Sources<'_> {
    /// Returns the folder that relative paths are relative to.
    fn here(&self) -> std::io::Result<PathBuf> {
        self.folder
            .map_or_else(std::env::current_dir, |folder| Ok(folder.to_owned()))
    }
}

/// Returns the file that was named, or the nearest `kindreg.toml` from the folder up to the repository's root.
fn find(sources: &Sources<'_>) -> Result<Option<PathBuf>> {
    if let Some(path) = sources.config {
        let folder = sources.folder.unwrap_or(Path::new(""));
        return Ok(Some(folder.join(path)));
    }
    let here = sources.here().context("can't find the current folder")?;
    let root = here.ancestors().find(|folder| folder.join(".git").exists());
    // Outside of a repository, a file in a folder above may be anybody's.
    let root = root.unwrap_or(&here);
    let folders = here
        .ancestors()
        .take_while(|folder| folder.starts_with(root));
    for path in folders.map(|folder| folder.join(FILE)) {
        // Its owner counts even if it is a link: who can place a link chooses what is read.
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

/// Refuses a found file of another user, as git does:
/// <https://github.blog/2022-04-12-git-security-vulnerability-announced/>.
fn refuse_others(path: &Path, owner: u32) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    if owner == user {
        return Ok(());
    }
    let path = path.display();
    Err(Problem::usage(
        format!("{path} belongs to another user (uid {owner}; yours is {user})"),
        format!("if you trust it, name it: --config {path}"),
    )
    .into())
}

fn unreadable(path: &Path) -> Problem {
    let name = path.display();
    let other = "name another file with --config";
    let hint = if path.exists() {
        other.to_owned()
    } else {
        let path = shell::word(&name.to_string());
        format!("{other}, or write this one: kindreg init {path}")
    };
    Problem::usage(format!("can't read {name}"), hint)
}

fn parse(
    sources: &Sources<'_>,
    path: &Path,
    need: Need,
) -> Result<std::result::Result<Request, Vec<Mistake>>> {
    let text = read(path).map_err(|why| anyhow!(why).context(unreadable(path)))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut load = |relative: &str| beside(folder, relative);
    // Mistakes show the path relative to the current folder.
    let here = sources.here().unwrap_or_default();
    let shown = path
        .strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string();
    Ok(match need {
        Need::Everything => file::parse(&text, &shown, &mut load),
        Need::Name => file::parse_alone(&text, &shown),
    })
}

/// Reads a file in a folder or below it, links included: the text goes to the nodes and into the record, and a cloned
/// repository may link to any file of the user's.
fn beside(folder: &Path, relative: &str) -> std::result::Result<String, String> {
    let real = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let file = real(&folder.join(relative))?;
    if file.starts_with(real(folder)?) {
        read(&file)
    } else {
        Err(format!(
            "{} is outside the folder of kindreg.toml",
            file.display()
        ))
    }
}

/// Reads a regular file: a pipe or a device may never end.
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
