//! Finds the container that this process runs in. It decides by text alone, and asks no engine.

/// Returns the id of this process's Docker container from `/proc/self/mountinfo`; `None` on a machine of its own.
///
/// The host name would not do: `--hostname` and `--network host` change it. Docker mounts a file of the container's
/// folder, whose name is the id, as `/etc/hostname` of each container:
/// <https://github.com/moby/moby/blob/v28.0.0/daemon/container/container_unix.go> (`NetworkMounts`).
#[must_use]
pub(crate) fn id(mountinfo: &str) -> Option<&str> {
    // The fourth field is the mounted path of its file system, the fifth the place:
    // https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    let mut mounted = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (path, place) = (fields.next()?, fields.next()?);
        (place == "/etc/hostname").then_some(path)
    });
    let folder = mounted.next()?.strip_suffix("/hostname")?;
    let id = folder.rsplit('/').next()?;
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f2a7c0de1b94f2a7c0de1b94f2a7c0de1b94f2a7c0de1b94f2a7c0de1b9abcd";

    #[test]
    fn docker_s_mount_of_the_host_name_has_the_id() {
        let mounts = format!(
            "700 650 0:70 / / rw,relatime - overlay overlay rw\n\
             710 700 254:1 /docker/volumes/home/_data /root rw,relatime - ext4 /dev/vda rw\n\
             711 700 254:1 /docker/containers/{ID}/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw\n\
             712 700 254:1 /docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw\n"
        );
        assert_eq!(id(&mounts), Some(ID));
    }

    #[test]
    fn other_mounts_are_of_no_container() {
        for mounts in [
            String::new(),
            "21 1 254:1 / / rw,relatime - ext4 /dev/vda rw\n".to_owned(),
            // A file that somebody bound there, on a machine of its own.
            "22 21 254:1 /srv/hostname /etc/hostname rw - ext4 /dev/vda rw\n".to_owned(),
            // Another place.
            format!("23 21 254:1 /containers/{ID}/hostname /mnt/hostname rw - ext4 /dev/vda rw\n"),
            // Podman's.
            format!(
                "24 21 254:1 /containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs x rw\n"
            ),
            "25 21".to_owned(),
        ] {
            assert_eq!(id(&mounts), None, "{mounts}");
        }
    }
}
