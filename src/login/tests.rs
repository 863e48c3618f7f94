//! Tests with real files and a shell script as the helper.

use std::os::unix::fs::PermissionsExt;

use std::fs;

use super::*;
use crate::credentials::USER_A;

const DOMAIN: &str = "registry.test:5001";

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn config(&self) -> DockerConfig {
        let path = std::env::join_paths([self.0.path(), Path::new("/usr/bin"), Path::new("/bin")]);
        DockerConfig::of(&self.0.path().join(".docker"), Some(path.unwrap()))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(".docker/config.json")
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn mode(&self) -> u32 {
        fs::metadata(self.file()).unwrap().permissions().mode() & 0o777
    }

    /// Creates a helper that stores one entry in a file, and its arguments in another.
    fn helper(&self, name: &str) {
        let program = self.0.path().join(format!("docker-credential-{name}"));
        let script = r#"#!/bin/sh
cd "$(dirname "$0")"; echo "$@" >>arguments
case $1 in
  store) cat >kept ;;
  get) read -r server; grep -q "\"$server\"" kept 2>/dev/null && cat kept || { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) rm -f kept ;;
esac
"#;
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn user() -> RegistryCredentials {
    RegistryCredentials::generate(USER_A).unwrap()
}

#[tokio::test]
async fn a_new_config_is_private_to_the_user_and_is_removed_when_empty() {
    let home = Home::new();
    let (config, user) = (home.config(), user());
    assert!(config.get(DOMAIN).await.unwrap().is_none());
    let place = config.store(DOMAIN, &user).await.unwrap();
    assert_eq!(place, Place::File(home.file()));
    config.store("localhost:5001", &user).await.unwrap();
    assert_eq!(home.mode(), 0o600);
    assert!(config.has(DOMAIN, &user).await.unwrap());
    assert!(
        config
            .erase_ours(DOMAIN, std::slice::from_ref(&user))
            .await
            .unwrap()
    );
    assert!(config.erase_ours("localhost:5001", &[user]).await.unwrap());
    assert!(!home.file().parent().unwrap().exists());
}

#[tokio::test]
async fn the_rest_of_a_config_its_mode_and_its_link_stay_unchanged() {
    let home = Home::new();
    let text = "{\n  \"psFormat\": \"x\",\n  \"auths\": {\n    \"ghcr.io\": {\n      \"auth\": \"eDp5\"\n    }\n  },\n  \"aliases\": {}\n}\n";
    let real = home.0.path().join("dotfile");
    fs::write(&real, text).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir(home.file().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&real, home.file()).unwrap();
    let (config, user) = (home.config(), user());
    config.store(DOMAIN, &user).await.unwrap();
    assert_ne!(home.text(), text);
    assert_eq!(home.mode(), 0o640);
    assert!(config.erase_ours(DOMAIN, &[user]).await.unwrap());
    assert_eq!(home.text(), text);
    assert!(fs::symlink_metadata(home.file()).unwrap().is_symlink());
}

#[tokio::test]
async fn a_helper_gets_the_password_and_the_file_only_an_empty_entry() {
    for config in [
        "{\"credsStore\": \"mine\"}".to_owned(),
        format!("{{\"credsStore\": \"absent\", \"credHelpers\": {{\"{DOMAIN}\": \"mine\"}}}}"),
    ] {
        let home = Home::new();
        home.helper("mine");
        home.write(&config);
        let (config, user) = (home.config(), user());
        let place = config.store(DOMAIN, &user).await.unwrap();
        assert_eq!(place, Place::Helper("docker-credential-mine".to_owned()));
        assert!(config.has(DOMAIN, &user).await.unwrap());
        let password = user.password().expose_secret();
        assert!(!home.text().contains(user.basic().expose_secret()));
        let arguments = fs::read_to_string(home.0.path().join("arguments")).unwrap();
        assert!(!arguments.contains(password), "{arguments}");
        assert!(config.erase_ours(DOMAIN, &[user]).await.unwrap());
        assert!(config.get(DOMAIN).await.unwrap().is_none());
        assert!(!home.text().contains("5001\": {}"), "{}", home.text());
    }
}

#[tokio::test]
async fn credentials_that_the_user_changed_are_kept() {
    let home = Home::new();
    let (config, ours, theirs) = (home.config(), user(), user());
    config.store(DOMAIN, &theirs).await.unwrap();
    assert!(!config.erase_ours(DOMAIN, &[ours]).await.unwrap());
    assert!(config.has(DOMAIN, &theirs).await.unwrap());
}

#[tokio::test]
async fn a_missing_helper_is_named() {
    let home = Home::new();
    home.write("{\"credsStore\": \"desktop\"}");
    let error = home.config().store(DOMAIN, &user()).await.unwrap_err();
    assert!(matches!(&error, LoginError::NoHelper(name) if name == "docker-credential-desktop"));
}

#[test]
fn entries_of_every_kind_are_read() {
    let read = |entry: Value| {
        let config = json!({"auths": {"r.test": entry}});
        plain(config.as_object()?, "r.test")
            .map(|(user, secret)| format!("{user}/{}", secret.expose_secret()))
    };
    assert_eq!(read(json!({"auth": "dTpwOnc="})).unwrap(), "u/p:w");
    assert_eq!(
        read(json!({"username": "u", "password": "p"})).unwrap(),
        "u/p"
    );
    assert_eq!(
        read(json!({"auth": "", "identitytoken": "t"})).unwrap(),
        "<token>/t"
    );
    assert!(read(json!({})).is_none());
}

#[tokio::test]
async fn a_helper_in_the_current_folder_is_not_run() {
    let home = Home::new();
    home.helper("mine");
    home.write("{\"credsStore\": \"mine\"}");
    let here = std::env::current_dir().unwrap();
    let up = here.components().skip(1).map(|_| "..");
    let relative: PathBuf = up
        .collect::<PathBuf>()
        .join(home.0.path().strip_prefix("/").unwrap());
    assert!(relative.join("docker-credential-mine").is_file());
    for path in [
        relative.as_os_str().to_owned(),
        OsString::new(),
        OsString::from(":"),
    ] {
        let config = DockerConfig::of(&home.0.path().join(".docker"), Some(path));
        let error = config.get(DOMAIN).await.unwrap_err();
        assert!(matches!(error, LoginError::NoHelper(_)), "{error}");
    }
}

impl Home {
    /// Creates a helper with a script of its own.
    fn script(&self, name: &str, script: &str) {
        let program = self.0.path().join(format!("docker-credential-{name}"));
        let script = format!("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n{script}");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn a_logout_through_a_link_removes_the_password_and_keeps_the_link() {
    for before in [
        None,
        Some("{}"),
        Some("{\"auths\": {}}"),
        Some("{\"psFormat\": \"x\"}"),
    ] {
        let home = Home::new();
        let real = home.0.path().join("dotfile");
        if let Some(text) = before {
            fs::write(&real, text).unwrap();
        }
        fs::create_dir(home.file().parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("../dotfile", home.file()).unwrap();
        let (config, user) = (home.config(), user());
        config.store(DOMAIN, &user).await.unwrap();
        let secret = user.basic().expose_secret().to_owned();
        assert!(
            fs::read_to_string(&real).unwrap().contains(&secret),
            "{before:?}"
        );
        assert!(config.erase_ours(DOMAIN, &[user]).await.unwrap());
        assert!(fs::symlink_metadata(home.file()).unwrap().is_symlink());
        let left = fs::read_to_string(&real).unwrap();
        assert!(!left.contains(&secret) && !left.contains(DOMAIN), "{left}");
        assert_eq!(
            left.contains("psFormat"),
            before.is_some_and(|text| text.contains("ps"))
        );
    }
}

#[tokio::test]
async fn what_docker_writes_while_a_helper_runs_stays() {
    let home = Home::new();
    home.script(
        "mine",
        r#"case $1 in
  store) cat >kept; echo '{"credsStore": "mine", "currentContext": "other"}' >.docker/config.json ;;
  get) cat kept ;;
  erase) rm kept; echo '{"credsStore": "mine", "auths": {"ghcr.io": {}, "registry.test:5001": {}}}' >.docker/config.json ;;
esac
"#,
    );
    home.write("{\"credsStore\": \"mine\"}");
    let (config, user) = (home.config(), user());
    config.store(DOMAIN, &user).await.unwrap();
    let text = home.text();
    assert!(text.contains("other") && text.contains(DOMAIN), "{text}");
    assert!(config.erase_ours(DOMAIN, &[user]).await.unwrap());
    let text = home.text();
    assert!(text.contains("ghcr.io") && !text.contains(DOMAIN), "{text}");
}

#[tokio::test]
async fn a_map_that_is_null_is_empty() {
    let home = Home::new();
    home.write("{\"auths\": null, \"credHelpers\": null, \"psFormat\": \"x\"}");
    let (config, user) = (home.config(), user());
    assert!(config.get(DOMAIN).await.unwrap().is_none());
    assert!(
        !config
            .erase_ours(DOMAIN, std::slice::from_ref(&user))
            .await
            .unwrap()
    );
    config.store(DOMAIN, &user).await.unwrap();
    assert!(config.has(DOMAIN, &user).await.unwrap());
    assert!(config.erase_ours(DOMAIN, &[user]).await.unwrap());
    assert!(home.text().contains("psFormat") && !home.text().contains(DOMAIN));
}

#[tokio::test]
async fn an_entry_under_a_url_is_a_login_too() {
    let (ours, theirs) = (user(), user());
    let entry = |user: &RegistryCredentials| json!({"auth": user.basic().expose_secret()});
    for url in [
        "https://registry.test:5001",
        "http://registry.test:5001",
        "https://registry.test:5001/v1/",
    ] {
        let home = Home::new();
        home.write(
            &json!({"auths": {url: entry(&ours), "https://registry.test": entry(&theirs)}})
                .to_string(),
        );
        let config = home.config();
        assert!(config.has(DOMAIN, &ours).await.unwrap(), "{url}");
        assert!(
            config
                .erase_ours(DOMAIN, std::slice::from_ref(&ours))
                .await
                .unwrap()
        );
        assert!(!home.text().contains("5001"), "{}", home.text());
        // Both, of which one is somebody else's.
        home.write(&json!({"auths": {url: entry(&theirs), DOMAIN: entry(&ours)}}).to_string());
        assert!(
            config
                .erase_ours(DOMAIN, std::slice::from_ref(&ours))
                .await
                .unwrap()
        );
        assert!(
            config.has(DOMAIN, &theirs).await.unwrap(),
            "{}",
            home.text()
        );
        assert!(
            !config
                .erase_ours(DOMAIN, std::slice::from_ref(&ours))
                .await
                .unwrap()
        );
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_not_waited_for() {
    let home = Home::new();
    home.script("mine", "exec sleep 1000");
    home.write("{\"credsStore\": \"mine\"}");
    let stop = CancellationToken::new();
    stop.cancel();
    for config in [
        home.config().with_limit(Duration::from_millis(50)),
        home.config().with_stop(stop),
    ] {
        for error in [
            config.get(DOMAIN).await.unwrap_err(),
            config.store(DOMAIN, &user()).await.unwrap_err(),
            config.erase_ours(DOMAIN, &[user()]).await.unwrap_err(),
        ] {
            assert!(matches!(error, LoginError::NoAnswer { .. }), "{error}");
        }
    }
    assert_eq!(home.text(), "{\"credsStore\": \"mine\"}");
}

#[tokio::test]
async fn a_helper_that_prints_rubbish_is_an_error_that_does_not_quote_it() {
    for script in [
        "cat >/dev/null; echo s3cret",
        "echo '{\"Secret\": \"s3cret'",
        "exec yes s3cret",
    ] {
        let home = Home::new();
        home.script("mine", script);
        home.write("{\"credsStore\": \"mine\"}");
        let error = home.config().get(DOMAIN).await.unwrap_err();
        assert!(matches!(error, LoginError::Helper { .. }), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
