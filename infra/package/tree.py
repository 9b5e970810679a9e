"""What goes into a package: files by path, written as tar or zip without time, place or
user of the build. Links are followed, so that each path is a file of its own."""
import io
import pathlib
import tarfile
import time
import zipfile


class Tree:
    """Files by path (relative, no leading slash), each with its mode and its origin: the name of a
    Debian package, or "caracola"."""

    def __init__(self):
        self.files = {}
        self.links = {}  # path: what it leads to
        self.folder_modes = {}

    def add(self, path, source, mode=0o644, origin="caracola"):
        """`source` is bytes, or the path of a file."""
        path = path.lstrip("/")
        data = source if isinstance(source, bytes) else pathlib.Path(source)
        if not isinstance(data, bytes) and not data.is_file():
            raise SystemExit(f"package: {data} is not there, and {path} needs it")
        self.files[path] = (data, mode, origin)

    def link(self, path, to):
        """A symbolic link, as packages of libraries have; only .debs have any."""
        self.links[path] = to

    def folder(self, path, mode):
        self.folder_modes[path.strip("/")] = mode

    def data(self, path):
        data = self.files[path][0]
        return data if isinstance(data, bytes) else data.read_bytes()

    def size(self, paths=None):
        size = 0
        for path in self.files if paths is None else paths:
            data = self.files[path][0]
            size += len(data) if isinstance(data, bytes) else data.stat().st_size
        return size

    def folders(self):
        found = dict(self.folder_modes)
        for path in list(self.files) + list(self.links) + list(self.folder_modes):
            for parent in list(pathlib.PurePosixPath(path).parents)[:-1]:
                found.setdefault(str(parent), 0o755)
        return found

    def merge(self, other):
        self.files.update(other.files)
        self.folder_modes.update(other.folder_modes)


def write_tar(tree, out, epoch):
    """Writes an uncompressed tar to the open file `out`."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folders = tree.folders()
        for path in sorted(set(folders) | set(tree.files)):
            info = tarfile.TarInfo(path)
            info.mtime = epoch
            if path in tree.files:
                source, info.mode, _ = tree.files[path]
                if isinstance(source, bytes):
                    info.size = len(source)
                    tar.addfile(info, io.BytesIO(source))
                else:
                    info.size = source.stat().st_size
                    with source.open("rb") as data:
                        tar.addfile(info, data)
            else:
                info.type, info.mode = tarfile.DIRTYPE, folders[path]
                tar.addfile(info)


def write_zip(tree, target, epoch):
    """Returns the bytes that each path takes in the zip."""
    date = max(time.gmtime(epoch)[:6], (1980, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(tree.files):
            info = zipfile.ZipInfo(path, date)
            info.create_system = 3  # Unix: the mode below counts
            info.external_attr = (0o100000 | tree.files[path][1]) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, tree.data(path), compresslevel=6)
        return {info.filename: info.compress_size for info in archive.infolist()}
