//! A key, a value or a combination that only the JSON schema or only the parser takes fails here.
//!
//! Every key is tried with every value of a pool, in every kind of registry. The pool also has what the schema itself
//! names (its enums and limits) and what the parser's mistakes offer, so that something added on one side alone is
//! tried on the other.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use kindreg::internal::pki::{Identity, Names, issue};
use kindreg::spec::file;
use secrecy::ExposeSecret;
use serde_json::Value as Json;
use time::OffsetDateTime;
use toml::{Table, Value};

use crate::config::COMPANY;
use crate::schema::{SCHEMA, document, takes};

/// The files of a certificate, made once.
fn own_files() -> &'static Identity {
    static FILES: LazyLock<Identity> = LazyLock::new(|| {
        let names = Names::new(["registry.test", "localhost"], []);
        issue("company", &names, OffsetDateTime::now_utc()).unwrap()
    });
    &FILES
}

/// What the parser says of a document: its mistakes, as text.
fn mistakes(table: &Table) -> Vec<String> {
    let text = toml::to_string(table).unwrap();
    // What a named file holds is not the schema's business, so each is right.
    let own = own_files();
    let tls = table
        .get("registry")
        .and_then(|all| all.get("r")?.get("tls"));
    let tls = |key: &str, path: &str| {
        tls.is_some_and(|tls| tls.get(key).and_then(Value::as_str) == Some(path))
    };
    let mut load = |path: &str| {
        Ok(match table.get("cluster") {
            Some(_) => "kind: Cluster\n".to_owned(),
            _ if tls("ca", path) => own.ca_pem.clone(),
            _ if tls("cert", path) || tls("key", path) => {
                format!("{}{}{}", own.leaf_pem, own.ca_pem, own.key.expose_secret())
            }
            _ => COMPANY.to_owned(),
        })
    };
    let read = file::parse(&text, "kindreg.toml", &mut load);
    read.err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Compares both sides; a difference is added to `differences`, and what the parser offers to `offers`.
fn compare(table: &Table, offers: &mut BTreeSet<String>, differences: &mut Vec<String>) {
    let mistakes = mistakes(table);
    let text = toml::to_string(table).unwrap();
    if takes(&document(&text)) != mistakes.is_empty() {
        differences.push(format!("{text}parser: {mistakes:?}"));
    }
    let ends = |sign: char| !(sign.is_ascii_alphanumeric() || "_-*".contains(sign));
    for mistake in &mistakes {
        offers.extend(mistake.split(ends).map(str::to_owned));
    }
}

fn table(text: &str) -> Table {
    text.parse().unwrap()
}

/// Enum members, and values at and just beyond each limit, of the whole schema.
fn named_by_the_schema(schema: &Json, values: &mut Vec<Value>) {
    match schema {
        Json::Object(fields) => {
            for (word, rule) in fields {
                match (word.as_str(), rule.as_i64()) {
                    ("enum", _) => {
                        let members = rule.as_array().unwrap().iter();
                        values.extend(members.map(|member| Value::try_from(member).unwrap()));
                    }
                    ("minimum" | "maximum", Some(limit)) => {
                        values.extend([limit - 1, limit, limit + 1].map(Value::Integer));
                    }
                    ("maxLength", Some(limit)) => {
                        let limit = usize::try_from(limit).unwrap();
                        values.extend([limit, limit + 1].map(|n| Value::String("a".repeat(n))));
                    }
                    _ => named_by_the_schema(rule, values),
                }
            }
        }
        Json::Array(items) => {
            for item in items {
                named_by_the_schema(item, values);
            }
        }
        _ => {}
    }
}

/// Values of every type and of every form that a key of ours takes or nearly takes.
fn pool() -> Vec<Value> {
    let mut values = Vec::new();
    for text in [
        "",
        "a",
        "A",
        "-a",
        "a-",
        "a_b",
        "a.b",
        "a..b",
        "..",
        "../a",
        "a/../b",
        "a/..",
        "..a/b..",
        ".a",
        "1",
        "1a",
        "a.1",
        "A_1",
        "1A",
        "B-C",
        "é",
        "a b",
        "a\nb",
        "a\u{7f}",
        "localhost",
        "x.test",
        "X.test",
        "x.test.",
        "x.test:8443",
        "x.test:443",
        "x.test:0",
        "x.test:65536",
        "localhost:5000",
        "10.0.0.5",
        "10.0.0.5:5000",
        "fd00::5",
        "x",
        "*",
        "**",
        "auto",
        "5001",
        "true",
        "distribution",
        "external",
        "registry:3",
        "registry:",
        "a/b:T_1",
        "x.test/a:1",
        "A/b",
        "a:b:c",
        "company.pem",
        "kind.yaml",
        "./a",
        "../a",
        "/etc/a",
        "~/a",
    ] {
        values.push(Value::from(text));
    }
    for number in [i64::MIN, -1, 0, 1, 2, 3, 4, 5, 443, 5001, i64::MAX] {
        values.push(Value::from(number));
    }
    values.extend([Value::from(true), Value::from(false), Value::from(1.5)]);
    let rest = table(
        "all = [1979-05-27, [], ['y.test'], ['y.test', 'z.test'], ['y.test', 'y.test'], ['Y'], ['y.1'], [1], [[]], {}, {a = 1}]",
    );
    values.extend(rest["all"].as_array().unwrap().iter().cloned());
    named_by_the_schema(&SCHEMA, &mut values);
    let mut unique: Vec<Value> = Vec::new();
    for value in values {
        if !unique.contains(&value) {
            unique.push(value);
        }
    }
    unique
}

/// What a section starts from: nothing, and what each kind of it needs. The first [`VALUES`] have all values tried.
const VALUES: usize = 3;
const CLUSTERS: [&str; 1] = [""];
const CERTIFICATES: [&str; 4] = [
    "",
    "cert = 'tls.crt'\nkey = 'tls.key'",
    "cert = 'tls.crt'\nkey = 'tls.key'\nca = 'ca.crt'",
    "ca = 'ca.crt'",
];
const REGISTRIES: [&str; 8] = [
    "",
    "mirror_of = 'quay.io'\nupstream_username_env = 'A'\nupstream_password_env = 'B'",
    "backend = 'external'\nhost = 'e.test'\nusername_env = 'A'\npassword_env = 'B'",
    "backend = 'distribution'",
    "mirror_of = 'quay.io'",
    "mirror_of = '*'",
    "backend = 'external'",
    "backend = 'external'\nhost = 'e.test'",
];

/// The sections with a key table on the parser's side: path in a document, keys, and kinds.
fn sections() -> [(
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
); 3] {
    [
        (&["cluster"], file::CLUSTER, &CLUSTERS),
        (&["registry", "r"], file::REGISTRY, &REGISTRIES),
        (&["registry", "r", "tls"], file::TLS, &CERTIFICATES),
    ]
}

/// A document with this at a path.
fn at(path: &[&str], inner: Value) -> Table {
    let value = path[1..].iter().rev().fold(inner, |inner, key| {
        Value::Table(Table::from_iter([((*key).to_owned(), inner)]))
    });
    Table::from_iter([(path[0].to_owned(), value)])
}

/// Whether parser and schema differ there for a reason that no schema can say.
fn cannot_be_said(key: &str, value: &Value) -> bool {
    // Which texts of digits and dots are addresses.
    key == "address"
        && value
            .as_str()
            .is_some_and(|text| text.parse::<std::net::IpAddr>().is_err())
}

fn assert_none(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} documents are taken by one side alone:\n{}",
        differences.len(),
        differences.join("\n\n")
    );
}

#[test]
fn schema_and_parser_take_the_same_values_of_every_key() {
    let mut differences = Vec::new();
    for (path, keys, kinds) in sections() {
        for kind in kinds.iter().take(VALUES) {
            for key in keys.iter().copied().chain(["unknown"]) {
                let mut values = pool();
                let mut tried = 0;
                while tried < values.len() {
                    let mut offers = BTreeSet::new();
                    for value in &values[tried..] {
                        if cannot_be_said(key, value) {
                            continue;
                        }
                        let mut section = table(kind);
                        section.insert(key.to_owned(), value.clone());
                        compare(&at(path, section.into()), &mut offers, &mut differences);
                    }
                    tried = values.len();
                    let offers = offers.into_iter().map(Value::from);
                    let new: Vec<Value> = offers.filter(|offer| !values.contains(offer)).collect();
                    values.extend(new);
                }
            }
        }
    }
    assert_none(&differences);
}

#[test]
fn schema_and_parser_take_the_same_keys() {
    let mut differences = Vec::new();
    // What each section is taken with: every key that either side knows, or that the parser offers instead of another.
    let known = [
        (&[][..], &SCHEMA["properties"], &["cluster", "registry"][..]),
        (
            &["cluster"][..],
            &SCHEMA["properties"]["cluster"]["properties"],
            file::CLUSTER,
        ),
        (
            &["registry", "r"][..],
            &SCHEMA["$defs"]["registry"]["properties"],
            file::REGISTRY,
        ),
        (
            &["registry", "r", "tls"][..],
            &SCHEMA["$defs"]["registry"]["properties"]["tls"]["properties"],
            file::TLS,
        ),
    ];
    for (path, schema, keys) in known {
        let mut offers = BTreeSet::from(["unknown".to_owned()]);
        offers.extend(schema.as_object().unwrap().keys().cloned());
        offers.extend(keys.iter().map(|key| (*key).to_owned()));
        let mut tried = BTreeSet::new();
        while let Some(key) = offers.difference(&tried).next().cloned() {
            for value in [
                Value::Table(Table::new()),
                Value::from("a"),
                Value::from(1),
                Value::from(true),
            ] {
                let full: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                if !cannot_be_said(&key, &value) {
                    let mut offered = BTreeSet::new();
                    compare(&at(&full, value), &mut offered, &mut differences);
                    offers.extend(offered);
                }
            }
            tried.insert(key);
        }
    }
    assert_none(&differences);
}

#[test]
fn schema_and_parser_take_the_same_names_of_registries() {
    let mut differences = Vec::new();
    for value in pool() {
        if let Value::String(name) = &value {
            let empty = Value::Table(Table::new());
            compare(
                &at(&["registry", name], empty),
                &mut BTreeSet::new(),
                &mut differences,
            );
        }
        compare(
            &at(&["registry", "r"], value.clone()),
            &mut BTreeSet::new(),
            &mut differences,
        );
        for section in ["cluster", "registry"] {
            compare(
                &at(&[section], value.clone()),
                &mut BTreeSet::new(),
                &mut differences,
            );
        }
    }
    assert_none(&differences);
}

#[test]
fn schema_and_parser_allow_the_same_keys_beside_each_other() {
    // A value that each key takes; a key without one here can't be tried, which fails.
    let right = table(
        "name = 'c'\nworkers = 1\ncontrol_planes = 1\nkind_config = 'kind.yaml'\nhost_trust = true\n\
         host = 'e.test'\nport = 5002\nbackend = 'distribution'\nnames = ['y.test']\nkeep_data = true\nauth = true\n\
         mirror_of = 'quay.io'\nupstream_ca = 'company.pem'\nupstream_username_env = 'A'\n\
         upstream_password_env = 'B'\naddress = '10.0.0.5'\nca = 'company.pem'\nusername_env = 'A'\n\
         password_env = 'B'\nproof = 'a:1'\nimage = 'a:1'\ntls = {cert = 'tls.crt', key = 'tls.key', ca = 'ca.crt'}\n\
         cert = 'tls.crt'\nkey = 'tls.key'\n",
    );
    let mut differences = Vec::new();
    for (path, keys, kinds) in sections() {
        for kind in kinds {
            for one in keys {
                for other in keys {
                    let mut section = table(kind);
                    for key in [one, other] {
                        let value = right
                            .get(*key)
                            .unwrap_or_else(|| panic!("a right value of {key} is missing"));
                        section.entry(*key).or_insert_with(|| value.clone());
                    }
                    compare(
                        &at(path, section.into()),
                        &mut BTreeSet::new(),
                        &mut differences,
                    );
                }
            }
        }
    }
    assert_none(&differences);
}
