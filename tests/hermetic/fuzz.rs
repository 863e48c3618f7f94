//! Input at random: nothing panics, and what is taken stays in its quotes. cargo-fuzz needs a nightly compiler.

use kindreg::internal::render::{self, hosts};
use kindreg::spec::mistake::Source;
use kindreg::spec::{Host, ImageRef, KindConfig, MirrorOf, Port, Spec, Target, file};
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::owned;
use crate::{config, schema};

const RIGHT: &str = include_str!("data/two.toml");
const KIND: &str = include_str!("data/merged.yaml");

/// Bits of TOML, and of what we take, in any order.
const BITS: [&str; 52] = [
    "[cluster]",
    "[registry.main]",
    "[registry.b]",
    "[registry]",
    "[[registry]]",
    "name",
    "workers",
    "control_planes",
    "host",
    "port",
    "names",
    "mirror_of",
    "upstream_ca",
    "upstream_username_env",
    "upstream_password_env",
    "kind_config",
    "host_trust",
    "keep_data",
    "backend",
    "\"external\"",
    "address",
    "\"10.0.0.5\"",
    "ca",
    "username_env",
    "password_env",
    "proof",
    "=",
    " = ",
    ".",
    ",",
    "\n",
    "\n",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "#",
    "\"a.test\"",
    "\"auto\"",
    "\"*\"",
    "\"company.pem\"",
    "5001",
    "-1",
    "1e9",
    "0x7fffffffffffffff",
    "true",
    "1979-05-27",
    "\\u0000",
];

/// One change of a text.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Remove(usize, usize),
    Insert(usize, String),
    Repeat(usize, usize),
}

pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    let text = prop_oneof![
        any::<String>(),
        select(&BITS[..]).prop_map(str::to_owned),
        "[\\PC\\n]{0,4}"
    ];
    let change = prop_oneof![
        (any::<usize>(), 0..20_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<usize>(), text).prop_map(|(at, text)| Change::Insert(at, text)),
        (any::<usize>(), 0..60_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ];
    proptest::collection::vec(change, 1..6)
}

pub(crate) fn changed(text: &str, changes: &[Change]) -> String {
    let mut all: Vec<char> = text.chars().collect();
    for change in changes {
        let place = |at: usize| at % (all.len() + 1);
        match change {
            Change::Remove(at, length) => {
                let at = place(*at);
                let end = (at + length).min(all.len());
                all.drain(at..end);
            }
            Change::Insert(at, text) => {
                let at = place(*at);
                all.splice(at..at, text.chars());
            }
            Change::Repeat(at, length) => {
                let at = place(*at);
                let again = all[at..(at + length).min(all.len())].to_vec();
                all.splice(at..at, again);
            }
        }
    }
    all.into_iter().collect()
}

/// Whatever a file holds, it is a Spec of which all texts can be rendered, or mistakes with places that it has.
fn parse_holds(text: &str) -> Result<(), TestCaseError> {
    let mut load = |path: &str| {
        Ok(if path.ends_with("pem") {
            config::COMPANY
        } else {
            KIND
        }
        .to_owned())
    };
    match file::parse(text, "f", &mut load) {
        Ok(request) => {
            let mut next = 7000;
            let spec = request.resolve(&mut |_| {
                next += 1;
                Ok(Port::new(next)?)
            });
            renders(&spec.map_err(|error| TestCaseError::fail(format!("{error:#}")))?)
        }
        Err(mistakes) => {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                let Source::File(place) = &mistake.at else {
                    return Err(TestCaseError::fail(format!("without a place: {mistake}")));
                };
                let line = text.split('\n').nth(place.line - 1);
                let columns = line.map_or(0, |line| line.chars().count() + 1);
                prop_assert!((1..=columns).contains(&place.column), "{}", mistake);
                prop_assert!(
                    !mistake.to_string().contains(char::is_control),
                    "{:?}",
                    mistake
                );
            }
            Ok(())
        }
    }
}

pub(crate) fn renders(spec: &Spec) -> Result<(), TestCaseError> {
    let broken = |error: &dyn std::fmt::Display| TestCaseError::fail(error.to_string());
    let Target::Owned(owned) = &spec.target;
    render::kind_config(&spec.cluster, owned).map_err(|error| broken(&error))?;
    for registry in &spec.registries {
        let files = render::node_files(registry, Some("CA")).map_err(|error| broken(&error))?;
        for path in files.keys() {
            let parts: Vec<&str> = path.split('/').collect();
            let fine = parts.len() == 2 && !parts.contains(&"..") && !parts.contains(&"");
            prop_assert!(fine, "{}", path);
        }
        render::hosting(&registry.domain(), "localhost:5001").map_err(|error| broken(&error))?;
    }
    let hosts = render::node_hosts(spec);
    prop_assert_eq!(&render::our_hosts(&hosts), &hosts);
    let label = serde_json::to_string(spec).map_err(|error| broken(&error))?;
    let read: Spec = serde_json::from_str(&label).map_err(|error| broken(&error))?;
    prop_assert_eq!(&read, spec);
    Ok(())
}

fn host() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z]([a-z0-9-]{0,8}[a-z0-9])?){0,3}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_no_file_that_panics(text in any::<String>()) {
        parse_holds(&text)?;
    }

    #[test]
    fn bits_of_toml_in_any_order_do_not_panic(bits in proptest::collection::vec(select(&BITS[..]), 0..40)) {
        parse_holds(&bits.concat())?;
    }

    #[test]
    fn a_right_file_with_changes_is_right_or_has_mistakes(changes in changes()) {
        parse_holds(&changed(RIGHT, &changes))?;
    }

    #[test]
    fn a_file_of_right_values_is_taken(
        name in "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?",
        hosts in proptest::collection::btree_set(host(), 1..5),
        port in 1..=u16::MAX,
        workers in 0..=50_u16,
        keep in any::<bool>(),
    ) {
        prop_assume!(hosts.iter().all(|host| host.parse::<Host>().is_ok()));
        let hosts: Vec<&String> = hosts.iter().collect();
        let text = format!(
            "[cluster]\nname = {name:?}\nworkers = {workers}\n\
             [registry.r]\nhost = {:?}\nport = {port}\nnames = {:?}\nkeep_data = {keep}\n",
            hosts[0], &hosts[1..]
        );
        let spec = config::spec(&text);
        prop_assert_eq!(spec.registries[0].domains().len(), hosts.len() + 1);
        renders(&spec)?;
    }

    #[test]
    fn schema_and_parser_agree_on_any_host_name_and_image(
        text in prop_oneof!["[a-zA-Z0-9._:/@ -]{0,24}", "[a-z0-9.*]{1,6}(:[0-9]{1,6})?"],
    ) {
        for (key, taken) in [
            ("host", text.parse::<Host>().is_ok()),
            ("image", text.parse::<ImageRef>().is_ok()),
            ("mirror_of", text.parse::<MirrorOf>().is_ok()),
        ] {
            let document = serde_json::json!({"registry": {"r": {key: &text}}});
            prop_assert_eq!(schema::takes(&document), taken, "{} = {:?}", key, text);
        }
    }

    #[test]
    fn an_image_reference_is_refused_or_harmless(text in prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9._:/@-]{0,60}",
        "([a-z0-9.-]{1,8}(:[0-9]{1,6})?/)?[a-z0-9._-]{1,8}(/[a-z0-9_]{1,5}){0,2}(:[A-Za-z0-9._-]{0,9})?(@sha256:[0-9a-f]{60,66})?",
    ]) {
        if let Ok(image) = text.parse::<ImageRef>() {
            prop_assert_eq!(image.as_str(), &text);
            prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "._:/@-".contains(c)), "{}", text);
            prop_assert!(text.starts_with(|c: char| c.is_ascii_alphanumeric()), "{}", text);
            let mut spec = crate::world::spec();
            owned(&mut spec).node_image = image;
            renders(&spec)?;
        }
    }

    #[test]
    fn any_text_is_no_hosts_toml_that_panics(text in any::<String>(), bits in proptest::collection::vec(select(&BITS[..]), 0..20)) {
        prop_assert!(hosts::check_hosts_toml(&text).is_err());
        prop_assert!(hosts::check_hosts_toml(&bits.concat()).is_err());
    }

    #[test]
    fn a_changed_hosts_toml_is_refused_or_says_what_it_says(changes in changes()) {
        let registry = &crate::world::spec().registries[0];
        let text = hosts::hosts_toml(registry, &registry.domain()).unwrap();
        let right = hosts::check_hosts_toml(&text).unwrap();
        let text = changed(&text, &changes);
        if let Ok(read) = hosts::check_hosts_toml(&text) {
            prop_assert!(read == right || text.contains(&read.host), "{}", text);
            prop_assert!(!text.lines().any(|line| line.trim_start().starts_with("skip_verify")), "{}", text);
        }
    }

    #[test]
    fn a_changed_kind_configuration_is_refused_or_merged(changes in changes(), text in any::<String>()) {
        prop_assert!(KindConfig::read(&text).is_err() || text.contains(['{', ':', '?']), "{:?}", text);
        if let Ok(config) = KindConfig::read(&changed(KIND, &changes)) {
            let mut spec = crate::world::spec();
            if let Some((control_planes, workers)) = config.nodes() {
                let owned = owned(&mut spec);
                (owned.control_planes, owned.workers) = (control_planes, workers);
            }
            owned(&mut spec).kind_config = Some(config);
            renders(&spec)?;
        }
    }
}
