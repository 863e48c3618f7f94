//! Parses the text of `kindreg.toml` into a [`Request`], or into all mistakes in it. Pure: callers read the file, and
//! the files that it names.

use std::str::FromStr;
use std::sync::Arc;

use super::mistake::{Given, Mistake, Source};
use super::reader::{Reader, Section};
use super::request::{
    BackendRequest, DistributionRequest, MirrorRequest, PortRequest, RegistryRequest, Request,
};
use super::{Auth, Data, HostTrust, Invalid, KindConfig, MirrorOf, RegistryName};

mod external;
mod tls;

pub use tls::TLS;

/// Keys of `[cluster]`.
pub const CLUSTER: &[&str] = &[
    "name",
    "workers",
    "control_planes",
    "image",
    "kind_config",
    "host_trust",
];
/// Keys of `[registry.NAME]`.
pub const REGISTRY: &[&str] = &[
    "host",
    "port",
    "backend",
    "image",
    "names",
    "keep_data",
    "mirror_of",
    "upstream_ca",
    "upstream_username_env",
    "upstream_password_env",
    "auth",
    "tls",
    "address",
    "ca",
    "username_env",
    "password_env",
    "proof",
];

/// How a mistake in the syntax begins.
const SYNTAX_ERROR: &str = "invalid TOML";

/// Returns the text of a file by its path relative to `kindreg.toml`.
type Load<'a> = &'a mut dyn FnMut(&str) -> Result<String, Unread>;

/// Why there is no text of a file.
enum Unread {
    /// It can't be read, for this reason.
    Failed(String),
    /// The caller does not need it.
    Skipped,
}

/// Parses the text of a `kindreg.toml`.
///
/// `path` is the file's path as mistakes show it. `load` reads the files that it names; its errors are shown unchanged.
///
/// # Errors
/// All mistakes in the file, in its order.
pub fn parse(
    text: &str,
    path: &str,
    load: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Request, Vec<Mistake>> {
    let mut load = |file: &str| load(file).map_err(Unread::Failed);
    request(text, path, &mut load)
}

/// Parses the text of a `kindreg.toml` without the files that it names, for what only needs the cluster's name: a
/// certificate that expired must not stop `down`.
///
/// # Errors
/// All mistakes in the file, in its order.
pub fn parse_alone(text: &str, path: &str) -> Result<Request, Vec<Mistake>> {
    request(text, path, &mut |_| Err(Unread::Skipped))
}

fn request(text: &str, path: &str, load: Load<'_>) -> Result<Request, Vec<Mistake>> {
    let mut reader = Reader::new(text, Arc::from(path));
    let mut request = Request::default();
    // The parser recovers, so that a syntax error does not hide the mistakes after it.
    let (document, errors) = toml::de::DeTable::parse_recoverable(text);
    let mut broken = std::collections::BTreeSet::new();
    for error in errors {
        let at = reader.source(error.span().unwrap_or(0..0));
        let what = format!("{SYNTAX_ERROR}: {}", error.message());
        reader.mistake(Mistake::new(&at, what));
        broken.extend(line(&at));
    }
    let top = Section::new(
        "the top-level table",
        document.get_ref(),
        &["cluster", "registry"],
    );
    reader.refuse_unknown(
        &top,
        &[("[cluster]", CLUSTER), ("[registry.NAME]", REGISTRY)],
    );
    if let Some(table) = reader.table(&top, "cluster") {
        let section = Section::new("[cluster]", table, CLUSTER);
        cluster(&mut reader, &section, &mut request, load);
    }
    if let Some(table) = reader.table(&top, "registry") {
        let registries = registries(&mut reader, table, load);
        if !registries.is_empty() {
            request.registries = registries;
        }
    }
    let mut mistakes = reader.mistakes;
    mistakes.extend(request.conflicts());
    // A line with a syntax error has no other mistakes: its values are the parser's guesses.
    mistakes.retain(|mistake| {
        let of_syntax = mistake.what.starts_with(SYNTAX_ERROR);
        of_syntax || !line(&mistake.at).is_some_and(|line| broken.contains(&line))
    });
    mistakes.sort();
    mistakes.dedup();
    if mistakes.is_empty() {
        Ok(request)
    } else {
        Err(mistakes)
    }
}

fn line(at: &Source) -> Option<usize> {
    match at {
        Source::File(place) => Some(place.line),
        Source::Default | Source::Record | Source::Flag(_) => None,
    }
}

fn cluster(reader: &mut Reader<'_>, section: &Section<'_>, request: &mut Request, load: Load<'_>) {
    reader.refuse_unknown(section, &[("[registry.NAME]", REGISTRY)]);
    set(&mut request.cluster, reader.text(section, "name"));
    set(&mut request.workers, reader.number(section, "workers"));
    set(
        &mut request.control_planes,
        reader.number(section, "control_planes"),
    );
    set(&mut request.node_image, reader.text(section, "image"));
    if let Some(trust) = reader.flag(section, "host_trust") {
        let value = if trust.value {
            HostTrust::Install
        } else {
            HostTrust::Leave
        };
        request.host_trust = Given::new(value, trust.from);
    }
    if let Some(path) = reader.text::<RelativePath>(section, "kind_config") {
        request.kind_config = kind_config(reader, &path, load);
    }
}

/// A path relative to the folder of the file that names it.
struct RelativePath(String);

impl FromStr for RelativePath {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        let why = if value.is_empty() || value.contains(char::is_control) {
            "must not be empty or contain control characters"
        } else if value.starts_with(['/', '~']) {
            "must be relative to the folder of kindreg.toml"
        } else if value.split('/').any(|part| part == "..") {
            "must not contain .., as it must stay in the folder of kindreg.toml"
        } else {
            return Ok(Self(value.to_owned()));
        };
        Err(Invalid {
            what: "path",
            value: value.to_owned(),
            why: why.to_owned(),
        })
    }
}

fn kind_config(
    reader: &mut Reader<'_>,
    path: &Given<RelativePath>,
    load: Load<'_>,
) -> Option<Given<KindConfig>> {
    let name = &path.value.0;
    let read = match load(name) {
        Ok(text) => KindConfig::read(&text),
        Err(Unread::Failed(why)) => Err(vec![why]),
        Err(Unread::Skipped) => return None,
    };
    match read {
        Ok(config) => Some(Given::new(config, path.from.clone())),
        Err(complaints) => {
            for complaint in complaints {
                reader.mistake(Mistake::new(&path.from, format!("{name}: {complaint}")));
            }
            None
        }
    }
}

fn registries(
    reader: &mut Reader<'_>,
    table: &toml::de::DeTable<'_>,
    load: Load<'_>,
) -> Vec<RegistryRequest> {
    // The parser sorts registries by name, but users mean the order of the file, as the first one is special.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut all = Vec::new();
    for (key, value) in entries {
        let from = reader.source(key.span());
        let toml::de::DeValue::Table(table) = value.get_ref() else {
            let what = format!(
                "unexpected key `{}` in [registry]",
                key.get_ref().escape_debug()
            );
            let advice = "each registry is a table with a name, such as [registry.main]";
            reader.mistake(Mistake::new(&from, what).advise(advice));
            continue;
        };
        let name = match key.get_ref().parse::<RegistryName>() {
            Ok(name) => Some(Given::new(name, from)),
            Err(invalid) => {
                reader.mistake(Mistake::new(&from, invalid.to_string()));
                None
            }
        };
        let title = format!("[registry.{}]", key.get_ref().escape_debug());
        let section = Section::new(&title, table, REGISTRY);
        // A registry with an invalid name is read too, for its other mistakes.
        let owner = name.clone().unwrap_or_default();
        let registry = registry(reader, &section, owner, load);
        all.extend(name.map(|_| registry));
    }
    all
}

fn registry(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: Given<RegistryName>,
    load: Load<'_>,
) -> RegistryRequest {
    reader.refuse_unknown(section, &[("[cluster]", CLUSTER)]);
    let mut request = RegistryRequest::named(name);
    set(&mut request.host, reader.text(section, "host"));
    if section.has("port") {
        // An invalid port must not be reported as a conflict too.
        let port = reader.text_or_number(section, "port");
        request.port = port.unwrap_or_else(|| Given::new(PortRequest::Auto, Source::Default));
    }
    request.names = reader.texts(section, "names");
    let auth = match reader.flag(section, "auth") {
        None => Given::default(),
        Some(Given { value: true, from }) => Given::new(Auth::Password, from),
        Some(Given { value: false, from }) => Given::new(Auth::Anonymous, from),
    };
    request.backend = match external::backend(reader, section, &mut request.port, auth.value, load)
    {
        Some(external) => BackendRequest::External(external),
        None => BackendRequest::Distribution(distribution(reader, section, auth, load)),
    };
    request
}

/// Reads the settings of a registry that kindreg runs.
fn distribution(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    auth: Given<Auth>,
    load: Load<'_>,
) -> DistributionRequest {
    let mut asked = DistributionRequest {
        auth,
        ..DistributionRequest::default()
    };
    set(&mut asked.image, reader.text(section, "image"));
    if let Some(Given { value: keeps, from }) = reader.flag(section, "keep_data") {
        let data = if keeps { Data::Keep } else { Data::Discard };
        asked.data = Given::new(data, from);
    }
    set(
        &mut asked.certificate,
        tls::certificate(reader, section, load),
    );
    asked.mirror = mirror(reader, section, load);
    asked
}

/// Keys that are valid only for a pull-through cache.
const CACHE_ONLY: [&str; 3] = [
    "upstream_ca",
    "upstream_username_env",
    "upstream_password_env",
];

/// Reads the settings of a mirror; `None` if the registry is not one.
fn mirror(reader: &mut Reader<'_>, section: &Section<'_>, load: Load<'_>) -> Option<MirrorRequest> {
    let of = reader.text::<MirrorOf>(section, "mirror_of");
    // An invalid mirror_of is one mistake, and does not make the other keys mistakes.
    let is_cache = match &of {
        Some(of) => matches!(of.value, MirrorOf::Registry(_)),
        None => section.has("mirror_of"),
    };
    if !is_cache {
        let advice = "it requires a mirror_of that names a registry";
        reader.refuse(section, &CACHE_ONLY, advice);
        return of.map(|of| MirrorRequest {
            of,
            ca: None,
            login: None,
        });
    }
    let ca = external::authorities(reader, section, "upstream_ca", load);
    let login = external::variables(reader, section, [CACHE_ONLY[1], CACHE_ONLY[2]]);
    let of = of?;
    if let MirrorOf::Registry(upstream) = &of.value
        && matches!(
            upstream.host.as_str(),
            "registry-1.docker.io" | "index.docker.io" | "hub.docker.com"
        )
    {
        let what = format!("image references do not use {upstream}");
        reader.mistake(Mistake::new(&of.from, what).advise("use \"docker.io\""));
    }
    Some(MirrorRequest { of, ca, login })
}

fn set<T>(field: &mut Given<T>, given: Option<Given<T>>) {
    if let Some(given) = given {
        *field = given;
    }
}
