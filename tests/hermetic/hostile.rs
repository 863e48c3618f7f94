//! Everything that becomes a path, a label, a line of TOML or YAML or an argument is refused by its type, whichever way
//! it comes in: by the file, by a flag, by the environment, or by a label of the engine.

use kindreg::spec::{ClusterName, Host, ImageRef, MirrorOf, Port, RegistryName, Spec, Workers};

use crate::cli::{Answer, kindreg};
use crate::config::parse;

/// What would leave its place if it were written down as it is.
const HOSTILE: [&str; 30] = [
    "../daemon.json",
    "..",
    ".",
    "/etc/passwd",
    "a/../../b",
    "a\\b",
    "a b",
    "a\nb",
    "a\r\nb: c",
    "a\tb",
    "a\u{0}b",
    "a\u{1b}[31mb",
    "a\"b",
    "a'b",
    "a`b`",
    "$(id)",
    "${HOME}",
    "a;b",
    "a|b",
    "a&b",
    "a#b",
    "a,b",
    "a=b",
    "{{ a }}",
    "a\"]\n[host.\"http://evil.test\"]",
    "--help",
    "-v",
    "*",
    "ä.test",
    "",
];

/// The one of those that a mirror may be of.
const EVERY: &str = "*";

/// Besides those: fit for one kind of name and not for another.
const NO_NAMES: [&str; 6] = ["a.b", "a:b", "a_b", "A", "a-", "a@b"];

/// How TOML writes a text.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A file is refused for this value, which is shown so that it can't play with a terminal.
fn refused(file: &str) {
    let said = parse(file).expect_err(file).join("\n");
    let no_control = said.chars().all(|c| c == '\n' || !c.is_control());
    assert!(no_control, "{said:?}");
    assert!(
        said.lines().all(|line| line.starts_with("kindreg.toml:")),
        "{said}"
    );
}

#[test]
fn the_file_takes_no_hostile_value_in_any_field() {
    for value in HOSTILE {
        let text = quoted(value);
        for field in ["name", "image"] {
            refused(&format!("[cluster]\n{field} = {text}\n"));
        }
        for field in ["host", "port", "backend", "image", "upstream_ca"] {
            refused(&format!("[registry.r]\n{field} = {text}\n"));
        }
        if value != EVERY {
            refused(&format!("[registry.r]\nmirror_of = {text}\n"));
            let port = quoted(&format!("a.test:{value}"));
            refused(&format!("[registry.r]\nmirror_of = {port}\n"));
        }
        refused(&format!("[registry.r]\nnames = [{text}]\n"));
        let external = "[registry.r]\nbackend = \"external\"\n";
        for field in ["host", "port", "address", "ca", "username_env", "proof"] {
            refused(&format!("{external}{field} = {text}\n"));
        }
        for field in ["cert", "key", "ca"] {
            refused(&format!("[registry.r.tls]\n{field} = {text}\n"));
        }
        refused(&format!(
            "{external}host = \"a.test\"\nusername_env = \"A\"\npassword_env = {text}\n"
        ));
        refused(&format!(
            "[registry.r]\nmirror_of = \"a.test\"\nupstream_username_env = \"A\"\nupstream_password_env = {text}\n"
        ));
        refused(&format!("[registry.{text}]\nhost = \"a.test\"\n"));
        refused(&format!("{text} = 1\n"));
        refused(&format!("[cluster]\n{text} = 1\n"));
        refused(&format!("[registry.r]\n{text} = 1\n"));
        for field in ["workers", "control_planes", "host_trust"] {
            refused(&format!("[cluster]\n{field} = {text}\n"));
        }
    }
    for value in NO_NAMES {
        let text = quoted(value);
        refused(&format!("[cluster]\nname = {text}\n"));
        refused(&format!("[registry.{text}]\n"));
    }
}

#[test]
fn files_that_it_names_lie_beside_the_file_and_nowhere_else() {
    for path in [
        "/etc/passwd",
        "~/kind.yaml",
        "",
        "a\u{0}b",
        "a\nb",
        "..",
        "../kind.yaml",
        "a/../../kind.yaml",
        "a/..",
    ] {
        for section in [
            "[cluster]\nkind_config",
            "[registry.r]\nbackend = \"external\"\nhost = \"a.test\"\nca",
            "[registry.r]\nmirror_of = \"quay.io\"\nupstream_ca",
        ] {
            let file = format!("{section} = {}\n", quoted(path));
            refused(&file);
            assert!(
                parse(&file).unwrap_err()[0].contains("invalid path"),
                "{path:?}"
            );
        }
        for key in ["cert", "key", "ca"] {
            let file = format!("[registry.r.tls]\n{key} = {}\n", quoted(path));
            refused(&file);
            let said = parse(&file).unwrap_err().join("\n");
            assert!(said.contains("invalid path"), "{key} {path:?}: {said}");
        }
    }
}

#[test]
fn the_types_take_no_hostile_value() {
    for value in HOSTILE.into_iter().chain(NO_NAMES) {
        assert!(value.parse::<ClusterName>().is_err(), "{value:?}");
        assert!(value.parse::<RegistryName>().is_err(), "{value:?}");
        assert!(value.parse::<Port>().is_err(), "{value:?}");
        assert!(value.parse::<Workers>().is_err(), "{value:?}");
    }
    for value in HOSTILE {
        assert!(value.parse::<Host>().is_err(), "{value:?}");
        assert!(value.parse::<ImageRef>().is_err(), "{value:?}");
        assert_eq!(
            value.parse::<MirrorOf>().is_ok(),
            value == EVERY,
            "{value:?}"
        );
    }
}

#[test]
fn a_label_of_the_engine_is_no_way_in_either() {
    let mut good = crate::external::world().spec;
    good.registries
        .push(crate::world::spec_with_mirrors().registries.remove(1));
    let good = serde_json::to_value(good).unwrap();
    assert!(serde_json::from_value::<Spec>(good.clone()).is_ok());
    let with = |pointer: &str, value: serde_json::Value| {
        let mut spec = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[key] = value;
        spec
    };
    for value in HOSTILE {
        for pointer in [
            "/cluster",
            "/target",
            "/target/owned/node_image",
            "/target/owned/workers",
            "/target/owned/control_planes",
            "/target/owned/unknown",
            "/registries/0/name",
            "/registries/0/host",
            "/registries/0/port",
            "/registries/0/backend/distribution/image",
            "/registries/0/backend/distribution/data",
            "/registries/0/backend/distribution/certificate",
            "/registries/0/backend/distribution/serves",
            "/registries/0/backend/distribution/serves/pushed/auth",
            "/registries/0/backend/distribution/unknown",
            "/registries/2/backend/distribution/serves/cache/upstream",
            "/registries/2/backend/distribution/serves/cache/ca",
            "/registries/2/backend/distribution/serves/cache/login",
            "/registries/2/backend/distribution/serves/cache/unknown",
            "/host_trust",
            "/unknown",
            "/registries/1/backend",
            "/registries/1/backend/external/address",
            "/registries/1/backend/external/ca",
            "/registries/1/backend/external/login",
            "/registries/1/backend/external/proof",
            "/registries/1/backend/external/unknown",
        ] {
            let spec = serde_json::from_value::<Spec>(with(pointer, value.into()));
            assert!(spec.is_err(), "{pointer} = {value:?}");
        }
        let variables = serde_json::json!({"username": "A", "password": value});
        for pointer in [
            "/registries/2/backend/distribution/serves/cache/login",
            "/registries/1/backend/external/login",
        ] {
            let variables = if pointer.ends_with("external/login") {
                serde_json::json!({"variables": variables})
            } else {
                variables.clone()
            };
            let spec = serde_json::from_value::<Spec>(with(pointer, variables));
            assert!(spec.is_err(), "{pointer}: {value:?}");
        }
        let names = serde_json::json!([value]);
        assert!(
            serde_json::from_value::<Spec>(with("/registries/0/names", names)).is_err(),
            "{value:?}"
        );
    }
    for yaml in [
        "a: [",
        "- a",
        "kind: Pod",
        "containerdConfigPatches: [\"version = 3\"]",
    ] {
        let spec = serde_json::from_value::<Spec>(with("/target/owned/kind_config", yaml.into()));
        assert!(spec.is_err(), "{yaml}");
    }
}

/// Each flag, its variable, and whether names that are no hosts are bad for it too.
const FLAGS: [(&str, &str); 6] = [
    ("--name", "KINDREG_NAME"),
    ("--host", "KINDREG_HOST"),
    ("--port", "KINDREG_PORT"),
    ("--image", "KINDREG_IMAGE"),
    ("--registry-image", "KINDREG_REGISTRY_IMAGE"),
    ("--workers", "KINDREG_WORKERS"),
];

fn is_usage(answer: &Answer, of: &str) {
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (2, ""),
        "{of}: {answer:?}"
    );
    assert!(answer.stderr.contains(of), "{of}: {answer:?}");
    let no_control = answer.stderr.chars().all(|c| c == '\n' || !c.is_control());
    assert!(no_control, "{answer:?}");
}

#[test]
fn flags_take_no_hostile_value() {
    // What the system itself does not take as an argument can't be tried.
    for value in HOSTILE.into_iter().filter(|value| !value.contains('\0')) {
        // All at once, and each is complained of.
        let given: Vec<String> = FLAGS
            .iter()
            .map(|(flag, _)| format!("{flag}={value}"))
            .collect();
        let mut arguments = vec!["render"];
        arguments.extend(given.iter().map(String::as_str));
        let answer = kindreg(&arguments).run();
        for (flag, _) in FLAGS {
            is_usage(&answer, &format!("{flag}: "));
        }
    }
}

#[test]
fn variables_take_no_hostile_value() {
    for value in HOSTILE.into_iter().filter(|value| !value.contains('\0')) {
        let mut command = kindreg(&["render"]);
        for (_, variable) in FLAGS {
            command = command.env(variable, value);
        }
        let answer = command.run();
        for (_, variable) in FLAGS {
            is_usage(&answer, &format!("{variable}: "));
        }
    }
}

#[test]
fn commands_that_only_need_a_name_take_no_hostile_one() {
    for command in ["down", "status", "verify"] {
        for value in ["../x", "a b", "-", ""] {
            is_usage(
                &kindreg(&[command, &format!("--name={value}")]).run(),
                "--name: ",
            );
        }
    }
}

#[test]
fn names_that_go_into_an_api_path_or_a_shell_take_no_hostile_value() {
    let flags = [
        ("secret", "--namespace"),
        ("secret", "--secret-name"),
        ("secret", "--patch-serviceaccount"),
        ("env", "--prefix"),
    ];
    for (command, flag) in flags {
        // A comma parts two names.
        for value in HOSTILE
            .into_iter()
            .filter(|value| !value.contains(['\0', ',']))
        {
            is_usage(
                &kindreg(&[command, &format!("{flag}={value}")]).run(),
                &format!("{flag}: "),
            );
        }
    }
}
