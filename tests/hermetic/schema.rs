//! The published JSON schema and the parser judge alike, but for what no schema can say.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use regex::Regex;
use serde_json::Value;

use crate::config::parse;

pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../templates/kindreg.schema.json")).unwrap()
});
static PATTERNS: LazyLock<Mutex<BTreeMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// Whether the schema takes a document. Only the words that our schema uses are known; another one fails the test.
pub(crate) fn takes(document: &Value) -> bool {
    valid(&SCHEMA, document)
}

fn valid(schema: &Value, value: &Value) -> bool {
    if let Some(always) = schema.as_bool() {
        return always;
    }
    let fields = schema.as_object().unwrap();
    fields.iter().all(|(word, rule)| match word.as_str() {
        "$schema" | "$defs" | "title" | "description" | "default" | "then" | "else" => true,
        "$ref" => {
            let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            valid(&SCHEMA["$defs"][name], value)
        }
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("type {other}"),
        },
        "properties" => object(value, |key, item| {
            rule.get(key).is_none_or(|rule| valid(rule, item))
        }),
        "additionalProperties" => {
            let known = |key: &str| schema["properties"].get(key).is_some();
            object(value, |key, item| {
                known(key) || (rule.is_object() && valid(rule, item))
            })
        }
        "propertyNames" => object(value, |key, _| valid(rule, &Value::from(key))),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| valid(rule, item))),
        "uniqueItems" => value.as_array().is_none_or(|items| {
            items
                .iter()
                .enumerate()
                .all(|(at, item)| !items[..at].contains(item))
        }),
        "enum" => rule.as_array().unwrap().contains(value),
        "not" => !valid(rule, value),
        "if" => valid(
            &schema[if valid(rule, value) { "then" } else { "else" }],
            value,
        ),
        "required" => has_all(value, rule),
        "dependentRequired" => object(rule, |key, others| {
            value.get(key).is_none() || has_all(value, others)
        }),
        "anyOf" => rule
            .as_array()
            .unwrap()
            .iter()
            .any(|rule| valid(rule, value)),
        "oneOf" => {
            rule.as_array()
                .unwrap()
                .iter()
                .filter(|rule| valid(rule, value))
                .count()
                == 1
        }
        "minimum" => value
            .as_i64()
            .is_none_or(|number| number >= rule.as_i64().unwrap()),
        "maximum" => value
            .as_i64()
            .is_none_or(|number| number <= rule.as_i64().unwrap()),
        "minLength" => value
            .as_str()
            .is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap()),
        "maxLength" => value
            .as_str()
            .is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
        "pattern" => value
            .as_str()
            .is_none_or(|text| matches(rule.as_str().unwrap(), text)),
        other => panic!("this test knows no {other}"),
    })
}

fn has_all(value: &Value, keys: &Value) -> bool {
    let mut keys = keys.as_array().unwrap().iter();
    keys.all(|key| value.get(key.as_str().unwrap()).is_some())
}

fn object(value: &Value, holds: impl Fn(&str, &Value) -> bool) -> bool {
    value
        .as_object()
        .is_none_or(|fields| fields.iter().all(|(key, item)| holds(key, item)))
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut known = PATTERNS.lock().unwrap();
    let regex = known
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(pattern).unwrap());
    regex.is_match(text)
}

/// A document as both sides see it.
pub(crate) fn document(text: &str) -> Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

#[test]
fn the_schema_and_the_parser_agree_on_good_files() {
    for good in [
        "",
        include_str!("../../templates/kindreg.toml"),
        "[cluster]",
        "[cluster]\nname = \"a-b\"\nworkers = 50\ncontrol_planes = 5\nhost_trust = false",
        "[cluster]\nimage = \"localhost:5000/kindest/node:v1@sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
        "[registry]",
        "[registry.a]\nport = \"auto\"\n[registry.b]\nport = 65535\nmirror_of = \"ghcr.io\"",
        "[registry.a]\nmirror_of = \"*\"",
        "[registry.a]\nmirror_of = \"nexus.example:8443\"\nupstream_ca = \"company.pem\"",
        "[registry.a]\nmirror_of = \"quay.io\"\nupstream_username_env = \"A\"\nupstream_password_env = \"B\"",
        "[registry.a]\nmirror_of = \"a:65535\"",
        "[registry.a]\nmirror_of = \"a:1\"",
        "[registry.a]\nhost = \"1a.2-b.test\"\nnames = [\"x\", \"y.z\"]\nkeep_data = true\nbackend = \"distribution\"",
        "registry.a.image = \"a.b/c__d/e-f:T_1\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"docker.io\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nport = 8443\nnames = [\"y.test\"]\nauth = false",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\naddress = \"10.0.0.5\"\nproof = \"a/b_c:1.x\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\naddress = \"fd00::5\"\nproof = \"a\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nusername_env = \"A_1\"\npassword_env = \"_b\"",
    ] {
        assert!(parse(good).is_ok(), "parser: {good}: {:?}", parse(good));
        assert!(takes(&document(good)), "schema: {good}");
    }
}

#[test]
fn the_schema_and_the_parser_agree_on_bad_files() {
    for bad in [
        "x = 1",
        "cluster = 1",
        "registry = []",
        "[cluster]\nx = 1",
        "[cluster]\nname = \"A\"",
        "[cluster]\nname = \"-a\"",
        "[cluster]\nname = \"01234567890123456789012345678901234567890\"",
        "[cluster]\nname = 1",
        "[cluster]\nworkers = 51",
        "[cluster]\nworkers = -1",
        "[cluster]\nworkers = 1.5",
        "[cluster]\nworkers = \"1\"",
        "[cluster]\ncontrol_planes = 2",
        "[cluster]\nimage = \"A/b\"",
        "[cluster]\nimage = \"a:b:c\"",
        "[cluster]\nimage = \"a b\"",
        "[cluster]\nkind_config = \"/etc/kind.yaml\"",
        "[cluster]\nkind_config = \"\"",
        "[cluster]\nhost_trust = 1",
        "[registry]\nhost = \"a.test\"",
        "[registry.lock]",
        "[registry.host]",
        "[registry.A]",
        "[registry.\"../x\"]",
        "[registry.012345678901234567890]",
        "[registry.a]\nx = 1",
        "[registry.a]\nhost = \"../daemon.json\"",
        "[registry.a]\nhost = \"localhost\"",
        "[registry.a]\nhost = \"10.0.0.5\"",
        "[registry.a]\nhost = \"a.1\"",
        "[registry.a]\nhost = \"a..b\"",
        "[registry.a]\nhost = \"A.test\"",
        "[registry.a]\nport = 0",
        "[registry.a]\nport = 65536",
        "[registry.a]\nport = \"5001\"",
        "[registry.a]\nport = \"any\"",
        "[registry.a]\nbackend = \"nexus\"",
        "[registry.a]\nimage = \"registry:\"",
        "[registry.a]\nnames = \"a.test\"",
        "[registry.a]\nnames = [1]",
        "[registry.a]\nnames = [\"b.test\", \"b.test\"]",
        "[registry.a]\nkeep_data = \"no\"",
        "[registry.a]\nmirror_of = \"docker.io:443\"",
        "[registry.a]\nmirror_of = \"docker.io:\"",
        "[registry.a]\nmirror_of = \"docker.io:0\"",
        "[registry.a]\nmirror_of = \"docker.io:05000\"",
        "[registry.a]\nmirror_of = \"docker.io:65536\"",
        "[registry.a]\nmirror_of = \"localhost:5000\"",
        "[registry.a]\nmirror_of = \"10.0.0.5:5000\"",
        "[registry.a]\nmirror_of = \"**\"",
        "[registry.a]\nmirror_of = \"quay.io\"\nupstream_ca = \"/ca.pem\"",
        "[registry.a]\nmirror_of = \"quay.io\"\nupstream_ca = \"\"",
        "[registry.a]\nupstream_username_env = \"A\"\nupstream_password_env = \"B\"",
        "[registry.a]\nmirror_of = \"*\"\nupstream_username_env = \"A\"\nupstream_password_env = \"B\"",
        "[registry.a]\nmirror_of = \"quay.io\"\nupstream_username_env = \"A\"",
        "[registry.a]\nmirror_of = \"quay.io\"\nupstream_password_env = \"A\"",
        "[registry.a]\nmirror_of = \"quay.io\"\nupstream_username_env = \"A\"\nupstream_password_env = \"B-C\"",
        "[registry.a]\nmirror_of = \"quay.io\"\nusername_env = \"A\"\npassword_env = \"B\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nupstream_username_env = \"A\"\nupstream_password_env = \"B\"",
        "[registry.a]\naddress = \"10.0.0.5\"",
        "[registry.a]\nca = \"ca.pem\"",
        "[registry.a]\nbackend = \"distribution\"\nproof = \"a:1\"",
        "[registry.a]\nusername_env = \"A\"\npassword_env = \"B\"",
        "[registry.a]\nbackend = \"external\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nport = \"auto\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nimage = \"registry:3\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nkeep_data = false",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nmirror_of = \"docker.io\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\naddress = \"nexus.test\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\naddress = 10",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nca = \"/etc/ca.pem\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nusername_env = \"A\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nusername_env = \"A\"\npassword_env = \"1\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nproof = \"x.test:8443/a:1\"",
        "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\nproof = \"A\"",
    ] {
        assert!(parse(bad).is_err(), "parser: {bad}");
        assert!(!takes(&document(bad)), "schema: {bad}");
    }
}

#[test]
fn the_schema_knows_every_key_and_every_default() {
    let request = kindreg::spec::request::Request::default();
    let cluster = &SCHEMA["properties"]["cluster"]["properties"];
    let registry = &SCHEMA["$defs"]["registry"]["properties"];
    for (section, keys) in [
        (cluster, kindreg::spec::file::CLUSTER),
        (registry, kindreg::spec::file::REGISTRY),
    ] {
        let mut known: Vec<&str> = section
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut keys = keys.to_vec();
        known.sort_unstable();
        keys.sort_unstable();
        assert_eq!(known, keys);
        for key in keys {
            assert!(
                section[key]["description"].is_string(),
                "{key} is described"
            );
        }
    }
    assert_eq!(cluster["name"]["default"], request.cluster.value.as_str());
    assert_eq!(
        cluster["workers"]["default"],
        request.workers.value.number()
    );
    assert_eq!(
        cluster["control_planes"]["default"],
        request.control_planes.value.number()
    );
    // It depends on the installed kind.
    assert_eq!(cluster["image"]["default"], serde_json::Value::Null);
    assert_eq!(
        registry["image"]["default"],
        request.registries[0]
            .distribution()
            .unwrap()
            .image
            .value
            .as_str()
    );
    assert_eq!(
        registry["port"]["default"].to_string(),
        request.registries[0].port.value.to_string()
    );
}
