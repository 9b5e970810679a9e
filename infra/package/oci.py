"""An OCI image (image-spec 1.0) as one tar: layers, configuration, manifest and index, written by hand, so
that no container daemon is needed. skopeo, docker load and Lambda's registry read it."""
import gzip
import hashlib
import json
import tempfile
import time

from tree import Tree, write_tar

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


class Hashed:
    """Passes bytes on to a file and keeps their digest."""

    def __init__(self, out):
        self.out, self.hash, self.size = out, hashlib.sha256(), 0

    def write(self, data):
        self.hash.update(data)
        self.size += len(data)
        return self.out.write(data)

    def tell(self):
        return self.size

    def flush(self):
        self.out.flush()

    def digest(self):
        return "sha256:" + self.hash.hexdigest()


def to_json(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def write_layer(tree, folder, epoch):
    """Returns (path, descriptor, digest of the uncompressed tar)."""
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        packed = Hashed(file)
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0, compresslevel=6) as zipped:
            plain = Hashed(zipped)
            write_tar(tree, plain, epoch)
    return file.name, {"mediaType": LAYER, "digest": packed.digest(), "size": packed.size}, plain.digest()


def write_image(trees, target, epoch, version, revision, env):
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    labels = {"org.opencontainers.image.title": "caracola", "org.opencontainers.image.version": version,
              "org.opencontainers.image.licenses": "MIT", "org.opencontainers.image.revision": revision,
              "org.opencontainers.image.created": created,
              "org.opencontainers.image.description": "WhatsApp voice notes to text: a Lambda function, or a worker"}
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        layers = [write_layer(tree, folder, epoch) for tree in trees]
        config = to_json({
            "created": created, "architecture": "amd64", "os": "linux",
            "config": {"User": "65534:65534", "Entrypoint": ["/usr/bin/caracola"], "WorkingDir": "/",
                       "Env": ["PATH=/usr/bin", *env], "Labels": labels, "StopSignal": "SIGTERM"},
            "rootfs": {"type": "layers", "diff_ids": [diff for _, _, diff in layers]},
            "history": [{"created": created, "created_by": f"caracola make package: {what}"}
                        for what in ("libraries, certificates, time zones", "program", "model")],
        })
        blobs = Tree()

        def blob(data, kind):
            digest = hashlib.sha256(data).hexdigest()
            blobs.add(f"blobs/sha256/{digest}", data)
            return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

        manifest = blob(to_json({"schemaVersion": 2, "mediaType": MANIFEST, "config": blob(config, CONFIG),
                                 "layers": [descriptor for _, descriptor, _ in layers], "annotations": labels}), MANIFEST)
        manifest["annotations"] = {"org.opencontainers.image.ref.name": version}
        manifest["platform"] = {"architecture": "amd64", "os": "linux"}
        for path, descriptor, _ in layers:
            blobs.add(f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}", path)
        blobs.add("index.json", to_json({"schemaVersion": 2, "manifests": [manifest]}))
        blobs.add("oci-layout", to_json({"imageLayoutVersion": "1.0.0"}))
        with target.open("wb") as out:
            write_tar(blobs, out, epoch)
