#!/usr/bin/env python3
"""Archives of a fake sd-server, good and hostile, each as DIR/<name>: archives.py DIR.

SPDX-License-Identifier: MIT"""

import io
import pathlib
import stat
import sys
import tarfile
import zipfile

PROGRAM = b"#!/bin/sh\necho stable-diffusion.cpp version fake\n"


def tar(path, *members, mode="w:gz"):
    """members: (name, content or a TarInfo that is filled already)."""
    with tarfile.open(path, mode) as t:
        for name, what in members:
            if isinstance(what, tarfile.TarInfo):
                t.addfile(what)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(what)
            info.mode = 0o4755
            t.addfile(info, io.BytesIO(what))


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.mode = 0o777
    return name, info


def zipped(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, content)


def good(d):
    library = b"\x7fELF" + bytes(300000)
    zipped(d / "good.zip", ("sd-server", PROGRAM, stat.S_IFREG | 0o644), ("sd-cli", PROGRAM, stat.S_IFREG | 0o755),
           ("libggml.so.0", library, stat.S_IFREG | 0o644), ("libggml.so", b"libggml.so.0", stat.S_IFLNK | 0o777))
    members = [special("./build/", tarfile.DIRTYPE), ("./build/bin/sd-server", PROGRAM),
               special("build/bin/libggml.so", tarfile.SYMTYPE, "libggml.so.0"), ("build/bin/libggml.so.0", library)]
    tar(d / "good.tar.gz", *members)
    tar(d / "good.tar.xz", *members, mode="w:xz")
    tar(d / "good.tar", *members, mode="w")


def hostile(d):
    server = ("sd-server", PROGRAM)
    tar(d / "bad-absolute.tar.gz", server, ("/tmp/evil-prebuilt", b"x"))
    tar(d / "bad-up.tar.gz", server, ("../evil", b"x"))
    tar(d / "bad-up-inside.tar.gz", server, ("a/../../evil", b"x"))
    tar(d / "bad-dot.tar.gz", server, ("a/./b", b"x"))
    tar(d / "bad-empty-part.tar.gz", server, ("a//b", b"x"))
    tar(d / "bad-backslash.tar.gz", server, ("..\\evil", b"x"))
    tar(d / "bad-control.tar.gz", server, ("a\x1b[2Jb", b"x"))
    tar(d / "bad-long.tar.gz", server, ("a" * 201, b"x"))
    tar(d / "bad-deep.tar.gz", server, ("a/" * 6 + "b", b"x"))
    tar(d / "bad-twice.tar.gz", server, server)
    tar(d / "bad-link-up.tar.gz", server, special("lib", tarfile.SYMTYPE, "../../../etc"))
    tar(d / "bad-link-absolute.tar.gz", server, special("lib", tarfile.SYMTYPE, "/etc/passwd"))
    tar(d / "bad-link-dotdot.tar.gz", server, special("lib", tarfile.SYMTYPE, ".."))
    tar(d / "bad-link-nowhere.tar.gz", server, special("lib", tarfile.SYMTYPE, "nothing"))
    tar(d / "bad-link-circle.tar.gz", server, special("a", tarfile.SYMTYPE, "b"), special("b", tarfile.SYMTYPE, "a"))
    tar(d / "bad-link-folder.tar.gz", server, ("d/x", b"x"), special("lib", tarfile.SYMTYPE, "d"))
    # Written through a link that came first: the link is made last, so the folder is a real one, and the link can't be.
    tar(d / "bad-through-link.tar.gz", server, special("d", tarfile.SYMTYPE, "sd-server"), ("d/evil", b"x"))
    tar(d / "bad-file-as-folder.tar.gz", server, ("sd-server/x", b"x"))
    tar(d / "bad-hardlink.tar.gz", server, special("h", tarfile.LNKTYPE, "/etc/passwd"))
    tar(d / "bad-hardlink-inside.tar.gz", server, special("h", tarfile.LNKTYPE, "sd-server"))
    tar(d / "bad-fifo.tar.gz", server, special("f", tarfile.FIFOTYPE))
    tar(d / "bad-device.tar.gz", server, special("f", tarfile.CHRTYPE))
    tar(d / "bad-many.tar.gz", server, *((f"f{i}", b"") for i in range(60)))
    tar(d / "bad-large.tar.gz", server, ("zeros", bytes(3 << 20)))
    tar(d / "bad-none.tar.gz", ("readme", b"nothing to run"))
    tar(d / "bad-empty.tar.gz")
    zipped(d / "bad-up.zip", ("sd-server", PROGRAM, stat.S_IFREG | 0o755), ("../evil", b"x", stat.S_IFREG | 0o644))
    zipped(d / "bad-link.zip", ("sd-server", PROGRAM, stat.S_IFREG | 0o755),
           ("lib", b"../../etc/passwd", stat.S_IFLNK | 0o777))
    (d / "bad-cut.zip").write_bytes((d / "good.zip").read_bytes()[:300])
    (d / "bad-cut.tar.gz").write_bytes((d / "good.tar.gz").read_bytes()[:250])
    (d / "bad-text.zip").write_bytes(b"<html>404</html>" * 100)


def main():
    d = pathlib.Path(sys.argv[1])
    d.mkdir(parents=True, exist_ok=True)
    good(d)
    hostile(d)


if __name__ == "__main__":
    main()
