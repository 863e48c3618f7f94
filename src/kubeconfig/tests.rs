//! Tests with real files. `Kind` changes them as kind does.

use super::*;

const BEFORE: &str = "apiVersion: v1\nkind: Config\ncontexts:\n- context: {cluster: a, user: a}\n  name: mine\n\
                      current-context: mine # chosen\nclusters:\n- name: a\n  cluster: {server: x}\nusers: []\n";

#[test]
fn the_previous_context_is_restored_and_other_lines_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    fs::write(&file, BEFORE).unwrap();
    let kubeconfig =
        Kubeconfig::locate(file.to_str(), Path::new("/nowhere"), Path::new("/nowhere"));
    let original = kubeconfig.original().unwrap();
    assert_eq!(original.context.as_deref(), Some("mine"));
    fs::write(&file, BEFORE.replace("mine # chosen", "kind-c")).unwrap();
    kubeconfig.restore(&original, "kind-c").unwrap();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        BEFORE.replace(" # chosen", "")
    );
    assert!(!folder.path().join("config.lock").exists());
}

#[test]
fn a_kubeconfig_that_can_not_be_written_is_reported_before_kind_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, present) = (
        folder.path().join("x/absent"),
        folder.path().join("present"),
    );
    let list = |files: &[&Path]| {
        let list = std::env::join_paths(files).unwrap();
        Kubeconfig::locate(list.to_str(), Path::new("/nowhere"), Path::new("/nowhere"))
    };
    list(&[&absent]).check_writable().unwrap();
    assert_eq!(
        list(&[&present, &absent]).written_by_kind().as_ref(),
        Some(&absent)
    );
    fs::write(&present, BEFORE).unwrap();
    assert_eq!(
        list(&[&absent, &present]).written_by_kind().as_ref(),
        Some(&present)
    );
    list(&[&present]).check_writable().unwrap();
    assert_eq!(fs::read_to_string(&present).unwrap(), BEFORE);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // Nobody, root included, can write to a folder as to a file.
    let error = list(&[folder.path()]).check_writable().unwrap_err();
    assert!(error.downcast_ref::<Problem>().is_some(), "{error:#}");
}

#[test]
fn a_context_that_the_user_chose_later_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    fs::write(&file, BEFORE).unwrap();
    let kubeconfig =
        Kubeconfig::locate(file.to_str(), Path::new("/nowhere"), Path::new("/nowhere"));
    let original = kubeconfig.original().unwrap();
    let other = BEFORE.replace("mine # chosen", "other");
    fs::write(&file, &other).unwrap();
    kubeconfig.restore(&original, "kind-c").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), other);
}

#[test]
fn a_new_file_and_its_folder_are_removed_only_when_empty() {
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = Kubeconfig::locate(None, home.path(), home.path());
    let original = kubeconfig.original().unwrap();
    let file = home.path().join(".kube/config");
    fs::create_dir(home.path().join(".kube")).unwrap();
    fs::write(&file, BEFORE).unwrap();
    kubeconfig.restore(&original, "kind-c").unwrap();
    assert!(file.exists(), "it holds a cluster");
    fs::write(
        &file,
        "apiVersion: v1\nkind: Config\ncontexts: null\ncurrent-context: \"\"\n",
    )
    .unwrap();
    kubeconfig.restore(&original, "kind-c").unwrap();
    assert!(!home.path().join(".kube").exists());
}

/// The files of one user, and what kind does to them.
struct Files {
    place: tempfile::TempDir,
    names: Vec<&'static str>,
}

impl Files {
    fn new(files: &[(&'static str, Option<&str>)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = place.path().join(name);
            if let Some(text) = text {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
        }
        let names = files.iter().map(|(name, _)| *name).collect();
        Self { place, names }
    }

    fn paths(&self) -> Vec<PathBuf> {
        let names = self.names.iter();
        names.map(|name| self.place.path().join(name)).collect()
    }

    fn kubeconfig(&self) -> Kubeconfig {
        let list = std::env::join_paths(self.paths()).unwrap();
        Kubeconfig::locate(list.to_str(), Path::new("/nowhere"), Path::new("/nowhere"))
    }

    /// What `kubectl config current-context` prints: the first file that sets it wins.
    fn current(&self) -> Option<String> {
        let mut all = self.paths().into_iter();
        all.find_map(|file| Some(read(&file).unwrap()?.current()?.to_owned()))
    }

    /// Every path below, with the targets of links.
    fn tree(&self) -> Vec<String> {
        fn walk(folder: &Path, all: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let target = fs::read_link(&path).unwrap_or_default();
                all.push(format!("{} {}", path.display(), target.display()));
                if path.is_dir() && !path.is_symlink() {
                    walk(&path, all);
                }
            }
        }
        let mut all = Vec::new();
        walk(self.place.path(), &mut all);
        all.sort();
        all
    }

    /// kind adds its entries to the first file that is there, or makes the last one.
    fn kind_adds(&self) {
        let paths = self.paths();
        let file = paths.iter().find(|file| file.is_file());
        let file = file.or(paths.last()).unwrap();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        edit(file, |config| {
            for list in ["contexts", "clusters", "users"] {
                let named = serde_yaml::from_str("{name: kind-c}").unwrap();
                match config.get_mut(list) {
                    Some(serde_yaml::Value::Sequence(all)) => all.push(named),
                    _ => drop(config.insert(list.into(), vec![named].into())),
                }
            }
            config.insert("current-context".into(), "kind-c".into());
        });
    }

    /// kind removes its entries from every file, and its current context.
    fn kind_removes(&self) {
        for file in self.paths().iter().filter(|file| file.is_file()) {
            let text = fs::read_to_string(file).unwrap();
            if !text.contains("kind-c") {
                continue;
            }
            edit(file, |config| {
                for list in ["contexts", "clusters", "users"] {
                    if let Some(serde_yaml::Value::Sequence(all)) = config.get_mut(list) {
                        all.retain(|one| one["name"] != "kind-c");
                    }
                }
                if config["current-context"] == "kind-c" {
                    config.insert("current-context".into(), "".into());
                }
            });
        }
    }
}

fn edit(file: &Path, change: impl FnOnce(&mut serde_yaml::Mapping)) {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut config = serde_yaml::from_str(&text).unwrap_or_default();
    change(&mut config);
    fs::write(file, serde_yaml::to_string(&config).unwrap()).unwrap();
}

fn config(contexts: &[&str], current: &str) -> String {
    let contexts: Vec<String> = contexts
        .iter()
        .map(|name| format!("{{name: {name}}}"))
        .collect();
    format!(
        "contexts: [{0}]\nclusters: [{0}]\nusers: []\ncurrent-context: {current:?}\n",
        contexts.join(", ")
    )
}

#[test]
fn the_current_context_is_the_same_before_and_after_wherever_it_is_set() {
    let (both, other) = (config(&["mine"], "mine"), config(&["other"], "other"));
    let (contexts, current) = (config(&["mine"], ""), config(&[], "mine"));
    let none = config(&["x"], "");
    for (what, files) in [
        ("one file", vec![("a", Some(&both))]),
        ("no file", vec![("a", None)]),
        ("no file and no folders", vec![("x/y/a", None)]),
        ("several, none there", vec![("a", None), ("x/y/b", None)]),
        (
            "in the second",
            vec![("a", Some(&none)), ("b", Some(&both))],
        ),
        ("the first is absent", vec![("a", None), ("b", Some(&both))]),
        (
            "the context in the second",
            vec![("a", Some(&current)), ("b", Some(&contexts))],
        ),
        (
            "the context in the first",
            vec![("a", Some(&contexts)), ("b", Some(&current))],
        ),
        (
            "two that set it",
            vec![("a", Some(&both)), ("b", Some(&other))],
        ),
        (
            "the same twice",
            vec![("a", Some(&both)), ("a", Some(&both))],
        ),
        ("a context that is nowhere", vec![("a", Some(&current))]),
    ] {
        let files = files
            .into_iter()
            .map(|(name, text)| (name, text.map(String::as_str)));
        let files = Files::new(&files.collect::<Vec<_>>());
        let (before, tree) = (files.current(), files.tree());
        let original = files.kubeconfig().original().unwrap();
        files.kind_adds();
        assert_eq!(files.current().as_deref(), Some("kind-c"), "{what}");
        files.kind_removes();
        files.kubeconfig().restore(&original, "kind-c").unwrap();
        assert_eq!(files.current(), before, "{what}");
        assert_eq!(files.tree(), tree, "{what}");
    }
}

#[test]
fn what_the_user_did_in_between_stays() {
    let files = Files::new(&[("a", Some(&config(&["mine"], "mine"))), ("b", None)]);
    let original = files.kubeconfig().original().unwrap();
    files.kind_adds();
    let a = files.place.path().join("a");
    // Removed by the user, so nothing is left to go back to.
    fs::write(&a, config(&["kind-c"], "kind-c")).unwrap();
    files.kind_removes();
    files.kubeconfig().restore(&original, "kind-c").unwrap();
    assert_eq!(files.current(), None);
    // Chosen by the user, in another file that was not there.
    fs::write(&a, config(&["mine"], "")).unwrap();
    fs::write(files.place.path().join("b"), config(&["new"], "new")).unwrap();
    files.kubeconfig().restore(&original, "kind-c").unwrap();
    assert_eq!(files.current().as_deref(), Some("mine"));
}

#[test]
fn a_link_stays_a_link() {
    for present in [true, false] {
        let text = config(&["mine"], "mine");
        let files = Files::new(&[
            ("a", None),
            ("real/b", Some("")),
            ("real/a", present.then_some(&*text)),
        ]);
        std::os::unix::fs::symlink("real/a", files.place.path().join("a")).unwrap();
        let files = Files {
            names: vec!["a"],
            ..files
        };
        let (before, tree) = (files.current(), files.tree());
        let original = files.kubeconfig().original().unwrap();
        files.kind_adds();
        files.kind_removes();
        files.kubeconfig().restore(&original, "kind-c").unwrap();
        assert_eq!(files.current(), before);
        assert_eq!(files.tree(), tree, "present: {present}");
    }
}

#[test]
fn a_record_opens_no_file_that_the_user_did_not_name() {
    let files = Files::new(&[
        ("a", Some(&config(&["mine"], "mine"))),
        ("b", Some("secret: [")),
        ("c/d", None),
    ]);
    let files = Files {
        names: vec!["a"],
        ..files
    };
    let mut original = files.kubeconfig().original().unwrap();
    original.file = Some(files.place.path().join("b"));
    original.absent = vec![files.place.path().join("b")];
    let empty = files.place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    original.absent_folders = vec![empty];
    let tree = files.tree();
    files.kubeconfig().restore(&original, "kind-c").unwrap();
    assert_eq!(files.tree(), tree);
}

#[test]
fn a_relative_file_is_found_again_from_another_folder() {
    let text = config(&["mine"], "mine");
    let files = Files::new(&[("p/conf/a", Some(&text)), ("q/x", Some(""))]);
    let (p, q) = (files.place.path().join("p"), files.place.path().join("q"));
    let at =
        |folder: &Path| Kubeconfig::locate(Some("conf/a:conf/b"), Path::new("/nowhere"), folder);
    let (before, tree) = (files.current(), files.tree());
    let original = at(&p).original().unwrap();
    files.kind_adds();
    // kind looked in the other folder, and found nothing.
    assert_eq!(at(&q).restore(&original, "kind-c").unwrap(), Restored::Done);
    assert_eq!(files.current(), before);
    assert_eq!(files.tree(), tree);
    let text = fs::read_to_string(p.join("conf/a")).unwrap();
    assert!(!text.contains("kind-c"), "{text}");
}

#[test]
fn a_file_that_is_not_named_any_more_is_said_to_be_left() {
    let text = config(&["mine"], "mine");
    let files = Files::new(&[("a", Some(&text)), ("b", Some(&text))]);
    let at = |file: &str| {
        let file = files.place.path().join(file);
        Kubeconfig::locate(file.to_str(), Path::new("/nowhere"), Path::new("/nowhere"))
    };
    let original = at("a").original().unwrap();
    files.kind_adds();
    let left = Restored::NotNamed(files.place.path().join("a"));
    assert_eq!(at("b").restore(&original, "kind-c").unwrap(), left);
    assert_eq!(
        at("a").restore(&original, "kind-c").unwrap(),
        Restored::Done
    );
}

#[test]
fn kind_is_told_the_same_files_from_every_folder() {
    let at = |list: &str| Kubeconfig::locate(Some(list), Path::new("/home/me"), Path::new("/w"));
    assert_eq!(at("a::/b:a").variable().as_deref(), Some("/w/a:/b"));
    assert_eq!(at("").variable().as_deref(), Some("/home/me/.kube/config"));
}
