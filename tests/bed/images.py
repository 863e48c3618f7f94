"""Writes the test bed's images as archives that `docker load` and `ctr images import` take.

    images.py registry --config FILE --programs FOLDER... -- OUT
        registry:3
    images.py cluster --root DEBIAN --kubernetes VERSION --coredns VERSION --etcd VERSION --pause VERSION...
            --programs FOLDER... -- OUT_FOLDER
        what kubeadm runs and what it needs, one archive each, with the tags that it asks for
    images.py nodes --image TAG LAYER... --image TAG LAYER... -- OUT
        kind's node images, from layers that exist

An archive holds layers (tar files named by their hash), one JSON configuration an image, and
manifest.json, which names them. An image here is a folder tree: a name maps to bytes (a file's content),
a path (a file to copy), None (a folder) or Link. Nothing depends on the time or the user, so that the
same input gives the same image. Programs are static, or come from DEBIAN with their libraries.
"""

import argparse
import hashlib
import io
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

@dataclass(frozen=True)
class Link:
    target: str


def layer(files, path):
    """Writes the tree as a layer, with the folders that it implies."""
    with tarfile.open(path, "w") as tar:
        made = {""}

        def folder(name):
            if name not in made:
                folder(os.path.dirname(name))
                made.add(name)
                info = tarfile.TarInfo(name)
                info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                tar.addfile(info)

        for name, source in sorted(files.items()):
            folder(os.path.dirname(name))
            info = tarfile.TarInfo(name)
            if source is None:
                folder(name)
            elif isinstance(source, Link):
                info.type, info.linkname = tarfile.SYMTYPE, source.target
                tar.addfile(info)
            else:
                data = source if isinstance(source, bytes) else Path(source).read_bytes()
                # Programs are named by their path; all that is given as bytes is configuration.
                info.size, info.mode = len(data), 0o644 if isinstance(source, bytes) else 0o755
                tar.addfile(info, io.BytesIO(data))


def archive(path, images):
    """images: for each its tags, its configuration, and the paths of its layers."""
    digests = {}
    for layers in {tuple(layers) for _, _, layers in images}:
        for file in layers:
            if file not in digests:
                with open(file, "rb") as stream:
                    digests[file] = hashlib.file_digest(stream, "sha256").hexdigest()

    with tarfile.open(path, "w") as tar:

        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        for file, digest in digests.items():
            info = tarfile.TarInfo(digest + ".tar")
            info.size = os.path.getsize(file)
            with open(file, "rb") as stream:
                tar.addfile(info, stream)

        manifest = []
        for tags, config, layers in images:
            data = json.dumps({
                "architecture": "amd64",
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": {"Env": [PATH]} | config,
                "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digests[file] for file in layers]},
            }).encode()
            name = hashlib.sha256(data).hexdigest() + ".json"
            add(name, data)
            manifest.append({"Config": name, "RepoTags": tags, "Layers": [digests[file] + ".tar" for file in layers]})
        add("manifest.json", json.dumps(manifest).encode())


def image(path, tags, files, config):
    """An archive of one image with one layer."""
    part = f"{path}.layer"
    layer(files, part)
    archive(path, [(tags, config, [part])])
    os.remove(part)


def program(folders, name):
    return next(folder / name for folder in folders if (folder / name).is_file())


BASE = {
    "tmp": None,
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
}


def registry(args):
    """As distribution's own Dockerfile makes it, without its shell."""
    image(args.out, ["registry:3"], BASE | {
        "bin/registry": program(args.programs, "registry"),
        # Debian's certificates: the published image brings such a file too.
        "etc/ssl/certs/ca-certificates.crt": Path("/etc/ssl/certs/ca-certificates.crt").read_bytes(),
        "etc/distribution/config.yml": args.config.read_bytes(),
        "var/lib/registry": None,
    }, {
        "Entrypoint": ["registry"],
        "Cmd": ["serve", "/etc/distribution/config.yml"],
        "ExposedPorts": {"5000/tcp": {}},
        "Volumes": {"/var/lib/registry": {}},
        "Env": [PATH, "OTEL_TRACES_EXPORTER=none"],
    })


def network_tools(root):
    """What kube-proxy and nodenet call, with the libraries, out of a Debian tree."""
    tools = ["/usr/sbin/xtables-nft-multi", "/usr/sbin/conntrack", "/usr/sbin/nft", "/usr/bin/kmod", "/usr/bin/ip"]
    plugins = ["/" + str(path.relative_to(root)) for path in root.glob("usr/lib/*/xtables/*.so")]
    words = subprocess.run(["chroot", root, "ldd", *tools, *plugins], capture_output=True, text=True, check=True).stdout.split()
    libraries = {word for word in words if word.startswith("/") and not word.endswith(":")}

    def resolve(name):
        """The file behind the links, which are Debian's and mean its own root."""
        real = subprocess.run(["chroot", root, "realpath", name], capture_output=True, text=True, check=True).stdout.strip()
        return root / real.lstrip("/")

    files = BASE | {name.lstrip("/"): resolve(name) for name in (*tools, *libraries)}
    files |= {name.lstrip("/"): root / name.lstrip("/") for name in plugins}
    for verb in ("iptables", "ip6tables"):
        files |= {f"usr/sbin/{verb}{end}": Link("xtables-nft-multi") for end in ("", "-save", "-restore")}
    return files | {"sbin/modprobe": Link("/usr/bin/kmod")}


def cluster(args):
    def write(name, tags, files, path):
        place = path.lstrip("/")
        image(args.out / f"{name}.tar", tags, files | {place: program(args.programs, name)}, {"Entrypoint": [path]})

    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        write(name, [f"registry.k8s.io/{name}:{args.kubernetes}"], BASE, f"/usr/local/bin/{name}")
    write("coredns", [f"registry.k8s.io/coredns/coredns:{args.coredns}"], BASE, "/coredns")
    write("etcd", [f"registry.k8s.io/etcd:{args.etcd}"], BASE, "/usr/local/bin/etcd")
    write("pause", [f"registry.k8s.io/pause:{version}" for version in args.pause], {}, "/pause")
    tools = network_tools(args.root)
    write("kube-proxy", [f"registry.k8s.io/kube-proxy:{args.kubernetes}"], tools, "/usr/local/bin/kube-proxy")
    write("nodenet", ["docker.io/bed/nodenet:1"], tools, "/bin/nodenet")


def nodes(args):
    config = {
        "Env": [PATH, "container=docker"],
        "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
        "StopSignal": "SIGRTMIN+3",
    }
    archive(args.out, [([tag], config, [Path(layer) for layer in layers]) for tag, *layers in args.image])


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for command in (registry, cluster, nodes):
        sub = commands.add_parser(command.__name__)
        sub.set_defaults(run=command)
        if command is nodes:
            sub.add_argument("--image", nargs="+", action="append", required=True)
        else:
            sub.add_argument("--programs", nargs="+", type=Path, required=True)
        if command is registry:
            sub.add_argument("--config", type=Path, required=True)
        if command is cluster:
            sub.add_argument("--root", type=Path, required=True)
            sub.add_argument("--kubernetes", required=True)
            sub.add_argument("--coredns", required=True)
            sub.add_argument("--etcd", required=True)
            sub.add_argument("--pause", nargs="+", required=True)
        sub.add_argument("out", type=Path)
    args = parser.parse_args()
    args.run(args)


main()
