//! Other programs that read what `kindreg login` stored: docker, crane, skopeo and oras, and a real credential helper.
//!
//! Each with its own flags or variables for a CA and a configuration, none with a flag that turns verification off.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kindreg::internal::oci::proof::proof_image;
use kindreg::internal::symptoms::credentials::{Trouble, diagnose};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Call, Kubeconfig, Said, Scene, attempt, docker, run_with, scratch};

/// A registry client: how it pushes and pulls, and how it is told of a CA and of its user's configuration.
///
/// `$LOCAL` and `$DOMAIN` are the registry's names, `$CONFIG` a docker config's folder, `$CERTS` the folder of the CA
/// `$CA`, `$IMAGE` an image as an archive, `$OUT` a new folder. `TRUST` becomes nothing where the CA is to be unknown.
struct Client {
    name: &'static str,
    push: &'static str,
    pull: &'static str,
    trust: [&'static str; 2],
    unauthorized: &'static str,
}

const CLIENTS: [Client; 3] = [
    Client {
        name: "crane",
        push: "TRUST crane push $IMAGE $LOCAL/e2e/crane:1",
        pull: "TRUST crane pull $LOCAL/e2e/crane:1 $OUT/image.tar && test -s $OUT/image.tar",
        trust: [
            "DOCKER_CONFIG=$CONFIG SSL_CERT_FILE=$CA",
            "DOCKER_CONFIG=$CONFIG",
        ],
        unauthorized: "unauthorized",
    },
    Client {
        name: "skopeo",
        push: "skopeo copy --authfile $CONFIG/config.json --dest-cert-dir $CERTS \
               docker-archive:$IMAGE docker://$LOCAL/e2e/skopeo:1",
        pull: "skopeo copy --authfile $CONFIG/config.json TRUST docker://$LOCAL/e2e/skopeo:1 dir:$OUT && \
               test -s $OUT/manifest.json",
        // Without this flag it reads /etc/docker/certs.d, where the CA is. A new folder has none.
        trust: ["--src-cert-dir $CERTS", "--src-cert-dir $OUT"],
        unauthorized: "unauthorized",
    },
    Client {
        name: "oras",
        // Under the other name, which this machine need not resolve.
        push: "cd $OUT && echo hello > hello.txt && DOCKER_CONFIG=$CONFIG oras push --ca-file $CA \
               --resolve $DOMAIN:127.0.0.1 $DOMAIN/e2e/oras:1 hello.txt",
        // Without a word of ours it takes localhost for a registry without TLS.
        pull: "DOCKER_CONFIG=$CONFIG oras pull TRUST --plain-http=false -o $OUT $LOCAL/e2e/oras:1 && \
               test -s $OUT/hello.txt",
        trust: ["--ca-file $CA", ""],
        unauthorized: "basic credential not found",
    },
];

/// Where the clients work.
struct Place<'a> {
    scene: &'a Scene,
    image: PathBuf,
    nobody: TempDir,
}

impl Place<'_> {
    /// Runs a client's command in an environment of its own.
    fn run(&self, script: &str, trust: &str, config: &Path) -> Said {
        let (out, certs) = (scratch(), self.scene.host_certs());
        let set = |name: &str, value: &Path| format!("{name}={}", value.display());
        let ca = certs.join(format!("kindreg-{}.crt", self.scene.cluster));
        let path = format!("PATH={}", std::env::var("PATH").unwrap());
        let (local, domain) = (self.scene.local_domain(), self.scene.domain());
        let variables = [
            path,
            // Where nothing is that a client would look for by itself.
            set("HOME", self.nobody.path()),
            set("XDG_RUNTIME_DIR", self.nobody.path()),
            format!("LOCAL={local}"),
            format!("DOMAIN={domain}"),
            set("CONFIG", config),
            set("CERTS", &certs),
            set("CA", &ca),
            set("IMAGE", &self.image),
            set("OUT", out.path()),
        ];
        let mut arguments = vec!["-i"];
        arguments.extend(variables.iter().map(String::as_str));
        let script = script.replace("TRUST", trust);
        arguments.extend(["sh", "-c", &script]);
        attempt("env", &arguments)
    }
}

impl Client {
    #[track_caller]
    fn pushes_and_pulls(&self, place: &Place<'_>, config: &Path) {
        let [trusts, unknown] = self.trust;
        place.run(self.push, trusts, config).good();
        place.run(self.pull, trusts, config).good();
        let nobody = place.nobody.path();
        for (script, trust, config, why) in [
            (self.push, trusts, nobody, self.unauthorized),
            (self.pull, trusts, nobody, self.unauthorized),
            (
                self.pull,
                unknown,
                config,
                "x509: certificate signed by unknown authority",
            ),
        ] {
            let said = place.run(script, trust, config);
            assert!(
                !said.ok && said.all().to_lowercase().contains(why),
                "{}: {why:?}: {said:?}",
                self.name
            );
        }
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn every_client_pushes_and_pulls_with_its_own_settings() {
    let scene = Scene::new("e2e-clients", 5970, Kubeconfig::Absent);
    scene.up(&[]).run().exits(0);
    let folder = scratch();
    let reference = format!("{}/e2e/app:1", scene.local_domain());
    let place = Place {
        scene: &scene,
        image: image(&reference, folder.path()),
        nobody: scratch(),
    };
    fs::write(place.nobody.path().join("config.json"), "{}").unwrap();
    scene.login();
    let config = scene.home().join(".docker");
    for client in CLIENTS {
        client.pushes_and_pulls(&place, &config);
    }
    run_with("docker", &["load"], &fs::read(&place.image).unwrap()).good();
    docker_pushes_and_pulls(&scene, &reference);
    a_helper_that_is_not_there_is_named(&scene);
    let pass = a_real_helper_keeps_the_password(&scene, &reference);
    let logout = scene.call(&["logout", "--name", scene.cluster]);
    logout.run().exits(0).prints("Logged out of ");
    pass.kindreg(&scene, "down").run().exits(0);
    assert_eq!(pass.kept(), json!({"registry.example": "me"}));
    scene.is_as_before();
}

/// An image of this test, as `docker save` would write it.
pub(crate) fn image(reference: &str, folder: &Path) -> PathBuf {
    let architecture = docker(&["info", "--format", "{{.Architecture}}"]);
    let architecture = architecture.trim().parse().unwrap();
    let image = proof_image(architecture, reference, b"clients").unwrap();
    let file = folder.join("image.tar");
    fs::write(&file, &image.archive).unwrap();
    file
}

/// docker logs in by itself, with what `kindreg env` says.
#[track_caller]
fn docker_pushes_and_pulls(scene: &Scene, reference: &str) {
    let folder = scratch();
    // With an entry: where there is none, docker looks for a helper by itself, and takes `pass` where it is installed.
    let other = json!({"auths": {"registry.example": {"auth": "bWU6bWluZQ=="}}});
    fs::write(folder.path().join("config.json"), other.to_string()).unwrap();
    let config = format!("--config={}", folder.path().display());
    let said = attempt("docker", &[&config, "push", reference]);
    assert!(
        !said.ok && said.all().contains("no basic auth credentials"),
        "{said:?}"
    );
    let user = scene.user();
    let (user, password) = user.split_once(':').unwrap();
    let login = [
        &config,
        "login",
        "-u",
        user,
        "--password-stdin",
        &scene.local_domain(),
    ];
    let said = run_with("docker", &login, b"wrong");
    assert!(!said.ok, "{said:?}");
    run_with("docker", &login, password.as_bytes()).good();
    docker(&[&config, "push", reference]);
    pulls(&config, reference);
}

/// docker can pull it, and it is not here afterwards.
#[track_caller]
fn pulls(config: &str, reference: &str) {
    attempt("docker", &["image", "rm", reference]);
    docker(&[config, "pull", reference]);
    docker(&["image", "rm", reference]);
}

/// A password store with a key of its own, as `pass` has it.
struct Pass {
    folder: TempDir,
}

impl Pass {
    #[track_caller]
    fn new() -> Self {
        let pass = Self { folder: scratch() };
        let keys = pass.folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
        let key = [
            "gpg",
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "e2e",
            "default",
            "default",
            "never",
        ];
        pass.run(&key).good();
        pass.run(&["pass", "init", "e2e"]).good();
        pass.config(&json!({"credsStore": "pass"}));
        pass
    }

    fn environment(&self) -> [(&'static str, OsString); 4] {
        let within = |name: &str| self.folder.path().join(name).into_os_string();
        // The bed has the helper in a folder of its own.
        let bed = std::env::var_os("KINDREG_BED_HELPERS").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap();
        let folders = bed.into_iter().chain(std::env::split_paths(&path));
        [
            ("GNUPGHOME", within("keys")),
            ("PASSWORD_STORE_DIR", within("store")),
            ("DOCKER_CONFIG", within("docker")),
            ("PATH", std::env::join_paths(folders).unwrap()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("docker/config.json")
    }

    fn config(&self, config: &Value) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), config.to_string()).unwrap();
    }

    /// A program with this store and docker config.
    fn run(&self, command: &[&str]) -> Said {
        self.run_with(command, b"")
    }

    fn run_with(&self, command: &[&str], input: &[u8]) -> Said {
        let set = self
            .environment()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        run_with("env", &[&*set, command].concat(), input)
    }

    /// kindreg with this store and docker config.
    fn kindreg(&self, scene: &Scene, command: &str) -> Call {
        let call = scene.call(&[command, "--name", scene.cluster]);
        let set = self.environment();
        set.into_iter()
            .fold(call, |call, (name, value)| call.env(name, value))
    }

    /// What the helper keeps: servers and users.
    #[track_caller]
    fn kept(&self) -> Value {
        serde_json::from_str(&self.run(&["docker-credential-pass", "list"]).good()).unwrap()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.run(&["gpgconf", "--kill", "all"]);
    }
}

#[track_caller]
fn a_real_helper_keeps_the_password(scene: &Scene, reference: &str) -> Pass {
    let (pass, user) = (Pass::new(), scene.user());
    let (user, password) = user.split_once(':').unwrap();
    let login = || {
        let said = pass.kindreg(scene, "login").run().exits(0);
        said.prints("the password is in docker-credential-pass");
        let kept = pass.kept();
        assert_eq!(
            (&kept[scene.domain()], &kept[scene.local_domain()]),
            (&json!(user), &json!(user))
        );
        let config = fs::read_to_string(pass.file()).unwrap();
        assert!(
            !config.contains("\"auth\"") && !config.contains(password),
            "{config}"
        );
    };
    login();
    let pull = ["docker", "pull", reference];
    pass.run(&pull).good();
    docker(&["image", "rm", reference]);

    let said = pass.kindreg(scene, "logout").run().exits(0);
    said.prints(&format!("Logged out of {}", scene.domain()));
    assert_eq!(pass.kept(), json!({}));
    let said = pass.run(&pull);
    assert!(
        !said.ok && said.all().contains("no basic auth credentials"),
        "{said:?}"
    );

    // What somebody else keeps there is theirs, also when `down` logs out.
    let other = json!({"ServerURL": "registry.example", "Username": "me", "Secret": "mine"});
    let store = format!("echo '{other}' | docker-credential-pass store");
    pass.run(&["sh", "-c", &store]).good();
    login();
    pass
}

/// By kindreg, and docker's own words for it are known too.
#[track_caller]
fn a_helper_that_is_not_there_is_named(scene: &Scene) {
    let pass = Pass { folder: scratch() };
    pass.config(&json!({"credsStore": "absent"}));
    let what = "docker's config names the credential helper docker-credential-absent, which is not in PATH";
    let said = pass.kindreg(scene, "login").run().exits(1).says(what);
    said.says("hint: install the helper, or take credsStore or credHelpers out of");
    let (user, domain) = (scene.user(), scene.local_domain());
    let (user, password) = user.split_once(':').unwrap();
    let login = ["docker", "login", "-u", user, "--password-stdin", &domain];
    let said = pass.run_with(&login, password.as_bytes());
    assert!(!said.ok, "{said:?}");
    assert_eq!(diagnose(&said.all()), Some(Trouble::Helper), "{said:?}");
}
