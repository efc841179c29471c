#!/usr/bin/env python3
"""Starts the machine as a person does (make qemu): to busybox's init and its shell, with a disk that is kept, and ends it in each way.

usage: user/tests/boots.py [QEMU-OPTIONS...]     (those of tools/qemu)

Exits with 0, or 1 with the transcript.
"""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from interactive import ROOT, Disappointed, Session

PROMPT = r"root@faultline:\S+# "


def boot(options, *lines):
    """Boots, types the lines at the prompt, the last of which ends the machine; (line, pattern): what has to come before the next prompt."""
    session = Session([os.path.join(ROOT, "tools/qemu")] + options, os.environ)
    try:
        for line, pattern in lines:
            session.expect(PROMPT)
            session.send(line)
            session.expect(pattern)
        status = session.status()
        if status != 0:
            raise Disappointed("tools/qemu ended with status %d" % status)
    except Disappointed as failure:
        sys.exit("%s\n%s" % (failure, session.transcript))
    finally:
        session.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        disk = os.path.join(folder, "my.img")
        options = sys.argv[1:] + ["--disk", disk]
        boot(options, ("ps; echo kept >/root/note\n", r"1 root +init"), ("poweroff\n", "system poweroff"))
        boot(options, ("cat /root/note; ls -l /sbin/reboot\n", r"\nkept\r?\n.*/sbin/reboot -> /bin/busybox"), ("reboot\n", "system reboot"))
        check = subprocess.run(["e2fsck", "-fn", disk], capture_output=True, text=True)
        if check.returncode != 0:
            sys.exit("the disk is damaged:\n" + check.stdout)
    boot(sys.argv[1:], ("\x01x", "Terminated"))


os.environ["PATH"] += ":/sbin:/usr/sbin"
main()
