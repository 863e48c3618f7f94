//! Archives: what is put in comes out, here and in the tar program; hostile ones are refused.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use kindreg::internal::archive::{Archive, ArchiveError, ArchiveFile, MAX_CONTENT, files};
use proptest::prelude::*;
use time::macros::datetime;

/// An archive with one entry whose name is written as it is.
fn named(name: &[u8], content: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    let field = header.as_gnu_mut().context("not a GNU header")?;
    field.name[..name.len()].copy_from_slice(name);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, content)?;
    Ok(tar.into_inner()?)
}

#[test]
fn files_come_back_with_mode_and_content() -> Result<()> {
    let long = format!("etc/{}/ca.crt", "d".repeat(150));
    let tar = Archive::new()
        .folder("etc/containerd", 0o755)
        .file("etc/containerd/certs.d/localhost:5001/ca.crt", 0o644, "ca")
        .file("./secret/tls.key", 0o600, "key")
        .file(&*long, 0o444, "")
        .into_bytes()?;
    let read = files(&tar)?;
    let file = |mode, content: &'static str| ArchiveFile {
        mode,
        content: content.into(),
    };
    assert_eq!(read.len(), 3);
    assert_eq!(
        read["etc/containerd/certs.d/localhost:5001/ca.crt"],
        file(0o644, "ca")
    );
    assert_eq!(read["secret/tls.key"], file(0o600, "key"));
    assert_eq!(read[&long], file(0o444, ""));
    Ok(())
}

#[test]
fn the_tar_program_lists_parents_first_once_and_owned_by_root() -> Result<()> {
    let tar = Archive::dated(datetime!(2026-11-22 12:00 UTC))
        .folder("var/lib/kubelet", 0o700)
        .file("var/lib/kubelet/config.json", 0o600, "{}")
        .file("var/lib/x", 0o644, "x")
        .into_bytes()?;
    let mut child = Command::new("tar")
        .args([
            "--list",
            "--verbose",
            "--numeric-owner",
            "--utc",
            "--file=-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("this test needs the tar program")?;
    child.stdin.take().context("no stdin")?.write_all(&tar)?;
    let listed = String::from_utf8(child.wait_with_output()?.stdout)?;
    let listed: Vec<String> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        listed,
        [
            "drwxr-xr-x 0/0 0 2026-11-22 12:00 var/",
            "drwxr-xr-x 0/0 0 2026-11-22 12:00 var/lib/",
            "drwx------ 0/0 0 2026-11-22 12:00 var/lib/kubelet/",
            "-rw------- 0/0 2 2026-11-22 12:00 var/lib/kubelet/config.json",
            "-rw-r--r-- 0/0 1 2026-11-22 12:00 var/lib/x",
        ]
    );
    Ok(())
}

#[test]
fn the_same_input_is_the_same_archive() -> Result<()> {
    let made = || {
        Archive::dated(datetime!(1970-01-01 0:00 UTC))
            .file("a/b", 0o644, "c")
            .into_bytes()
    };
    assert_eq!(made()?, made()?);
    Ok(())
}

#[test]
fn a_path_that_leads_out_is_refused_both_ways() -> Result<()> {
    for bad in [
        "/etc/passwd",
        "../etc/passwd",
        "a/../../b",
        "a/..",
        "",
        ".",
        "./",
    ] {
        let made = Archive::new().file(bad, 0o644, "x").into_bytes();
        assert!(matches!(made, Err(ArchiveError::BadPath(_))), "{bad}");
        if !bad.is_empty() && !bad.ends_with('/') {
            let read = files(&named(bad.as_bytes(), b"x")?);
            assert!(
                matches!(read, Err(ArchiveError::BadPath(_))),
                "{bad}: {read:?}"
            );
        }
    }
    let read = files(&named(b"\xff\xfe", b"x")?);
    assert!(matches!(read, Err(ArchiveError::BadPath(_))), "{read:?}");
    Ok(())
}

#[test]
fn links_and_folders_are_left_out() -> Result<()> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "ca.crt", "/etc/shadow")?;
    assert!(files(&tar.into_inner()?)?.is_empty());
    assert!(files(&Archive::new().folder("a/b", 0o755).into_bytes()?)?.is_empty());
    assert!(files(&Archive::new().into_bytes()?)?.is_empty());
    Ok(())
}

#[test]
fn more_than_the_limit_is_refused_before_it_is_read() -> Result<()> {
    let half = vec![0; usize::try_from(MAX_CONTENT)? / 2];
    let tar = Archive::new()
        .file("a", 0o644, half.clone())
        .file("b", 0o644, half);
    assert_eq!(files(&tar.clone().into_bytes()?)?.len(), 2);
    let read = files(&tar.file("c", 0o644, "x").into_bytes()?);
    assert!(matches!(read, Err(ArchiveError::TooLarge)));

    let mut lying = named(b"a", b"x")?;
    let mut header = tar::Header::from_byte_slice(&lying[..512]).clone();
    header.set_size(u64::MAX);
    header.set_cksum();
    lying[..512].copy_from_slice(header.as_bytes());
    let read = files(&lying);
    assert!(read.is_err(), "{read:?}");
    Ok(())
}

#[test]
fn an_archive_cut_short_is_damaged() -> Result<()> {
    let tar = Archive::new()
        .file("a", 0o644, vec![7; 2000])
        .into_bytes()?;
    for end in [1, 511, 513, 1000, 2000] {
        let read = files(&tar[..end]);
        assert!(
            matches!(read, Err(ArchiveError::Damaged(_))),
            "{end}: {read:?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_files_come_back(
        entries in prop::collection::btree_map(
            "[a-z0-9:._-]{0,8}[a-z0-9](/[a-z0-9:._-]{0,90}[a-z0-9]){0,3}",
            (0_u32..0o10000, prop::collection::vec(any::<u8>(), 0..1500)),
            0..6,
        )
    ) {
        let mut archive = Archive::new();
        for (path, (mode, content)) in &entries {
            archive = archive.file(path, *mode, content.clone());
        }
        let read = files(&archive.into_bytes()?)?;
        prop_assert_eq!(read.len(), entries.len());
        for (path, (mode, content)) in entries {
            let file = ArchiveFile { mode, content: content.into() };
            prop_assert_eq!(&read[&path], &file);
        }
    }

    #[test]
    fn no_bytes_at_all_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = files(&bytes);
    }

    /// A true archive with some bytes changed, and the checksum of its first header mended, so that the change is seen.
    #[test]
    fn no_change_of_an_archive_makes_reading_panic_or_leak_a_bad_path(
        changes in prop::collection::vec((0_usize..512, any::<u8>()), 1..8),
        kind in prop::sample::select(vec![b'0', b'L', b'S', b'x', b'g', b'1', b'K', 0]),
    ) {
        let tar = Archive::new()
            .file("a/b", 0o644, "12 path=../../x\n")
            .file("c", 0o600, vec![1; 700])
            .into_bytes()?;
        let mut tar = tar[512..].to_vec();
        for (place, byte) in changes {
            tar[place] = byte;
        }
        let mut header = tar::Header::from_byte_slice(&tar[..512]).clone();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_cksum();
        tar[..512].copy_from_slice(header.as_bytes());
        if let Ok(read) = files(&tar) {
            for path in read.keys() {
                prop_assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."));
            }
        }
    }
}
