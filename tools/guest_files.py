"""Files into and out of an ext2 image by debugfs, without mounting it."""
import os
import stat
import subprocess


class Failure(Exception):
    """What could not be copied, and why."""


def debugfs(image, script, write=False):
    """Runs debugfs's commands and returns what it printed, complaints included."""
    command = ["debugfs"] + (["-w"] if write else []) + ["-f", "-", image]
    ran = subprocess.run(command, input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                         errors="surrogateescape")
    return ran.stdout


def quote(name):
    if "\n" in name:
        raise Failure("debugfs cannot take a name with a line break: %r" % name)
    return '"%s"' % name.replace('"', '""')


class Additions:
    """Collects commands that put files into an image; apply() runs them."""

    def __init__(self):
        self.script = []
        self.made = {"/"}
        self.expected = []  # (guest path, kind)
        self.bytes = 0

    def parents(self, guest):
        folder = os.path.dirname(guest)
        if folder not in self.made:
            self.parents(folder)
            self.directory(folder, None)

    def directory(self, guest, mode):
        """A directory; with mode None only if it isn't there, and then 0755."""
        if guest not in self.made:
            self.script.append("mkdir " + quote(guest))
            self.made.add(guest)
        if mode is not None:
            self.attributes(guest, stat.S_IFDIR | mode)
        self.expected.append((guest, "directory"))

    def attributes(self, guest, mode):
        for field, value in (("mode", "0%o" % mode), ("uid", "0"), ("gid", "0")):
            self.script.append("sif %s %s %s" % (quote(guest), field, value))

    def file(self, host, guest, mode):
        # `write` takes a name in the current directory only, and refuses one that exists.
        self.script += ["rm " + quote(guest), "cd " + quote(os.path.dirname(guest)),
                        "write %s %s" % (quote(os.path.abspath(host)), quote(os.path.basename(guest))), "cd /"]
        self.attributes(guest, stat.S_IFREG | mode)
        self.expected.append((guest, "regular"))
        self.bytes += os.path.getsize(host) + 4096

    def add(self, host, guest):
        """A file, a symbolic link or a whole directory of the host, with its modes; everything belongs to root."""
        guest = os.path.normpath("/" + guest).replace("//", "/")
        try:
            status = os.lstat(host) if guest not in ("/",) else os.stat(host)
        except OSError as error:
            raise Failure("%s: %s" % (host, error.strerror)) from None
        self.parents(guest)
        self.add_one(host, guest, status)

    def add_one(self, host, guest, status):
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            self.directory(guest, mode if guest != "/" else None)
            for entry in sorted(os.scandir(host), key=lambda e: e.name):
                self.add_one(entry.path, os.path.join(guest, entry.name), entry.stat(follow_symlinks=False))
        elif stat.S_ISLNK(status.st_mode):
            self.script += ["rm " + quote(guest), "symlink %s %s" % (quote(guest), quote(os.readlink(host)))]
            self.bytes += 4096
        elif stat.S_ISREG(status.st_mode):
            if not os.access(host, os.R_OK):
                raise Failure("%s: Permission denied" % host)
            self.file(host, guest, mode)
        else:
            raise Failure("%s: neither a file, a directory nor a symbolic link" % host)

    def apply(self, image):
        self.make_room(image)
        said = debugfs(image, "\n".join(self.script) + "\n", write=True)
        # debugfs always ends with 0, so ask what has become of each path.
        paths = [guest for guest, _ in self.expected]
        answer = debugfs(image, "".join("stat %s\n" % quote(guest) for guest in paths))
        answers = answer.split("debugfs: stat ")[1:]
        for (guest, kind), text in zip(self.expected, answers):
            if "Type: " + kind not in text:
                reason = [line for line in said.splitlines() if not line.startswith("debugfs") and "No such file" not in line
                          and "File not found" not in line and line.strip()]
                raise Failure("%s could not be made in the image%s" % (guest, ": " + reason[-1] if reason else ""))

    def make_room(self, image):
        """Enlarges the file system when the additions could fill it."""
        header = subprocess.run(["dumpe2fs", "-h", image], capture_output=True, text=True, check=True).stdout
        fields = dict(line.split(":", 1) for line in header.splitlines() if ":" in line)
        free = (int(fields["Free blocks"]) - int(fields["Reserved block count"])) * int(fields["Block size"])
        if self.bytes * 1.02 + (4 << 20) > free:
            os.truncate(image, os.path.getsize(image) + int(self.bytes * 1.05) + (8 << 20))
            subprocess.run(["resize2fs", "-f", image], capture_output=True, check=True)


def extract(image, guest, host):
    """Copies a file or a directory out of the image to exactly `host`."""
    kind = debugfs(image, "stat %s\n" % quote(guest))
    if os.path.isdir(host):
        host = os.path.join(host, os.path.basename(guest))
    if "Type: directory" in kind:
        os.makedirs(host, exist_ok=True)
        # rdump makes the directory's own name below the target, so dump its entries one by one.
        listing = debugfs(image, "ls -p %s\n" % quote(guest))
        names = [line.split("/")[5] for line in listing.splitlines() if line.startswith("/") and line.count("/") >= 7]
        script = "".join("rdump %s %s\n" % (quote(os.path.join(guest, name)), quote(os.path.abspath(host)))
                         for name in names if name not in (".", ".."))
        debugfs(image, script)
    elif "Type: regular" in kind:
        debugfs(image, "dump -p %s %s\n" % (quote(guest), quote(os.path.abspath(host))))
    else:
        raise Failure("it is not there")
    if not os.path.exists(host):
        raise Failure("cannot write %s" % host)
