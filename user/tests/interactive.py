#!/usr/bin/env python3
"""Types at the shell on the console, as a person would, and checks what comes back: job control, vi, top, ps.

usage: user/tests/interactive.py [--host] [RUN-OPTIONS...]     (--host: busybox's shell on this machine's Linux instead)

Waits for what has to appear, for a minute at most each time; exits with 0, 1 (with the transcript), or tools/run's 125.
"""
import os
import pty
import re
import select
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 60
PROMPT = r"READY\d*> "


class Disappointed(Exception):
    """Something that had to appear did not."""


class Session:
    """A program on a pseudo-terminal of our own."""

    def __init__(self, command, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.transcript = self.unread = ""

    def send(self, text):
        os.write(self.fd, text.encode())

    def press_until(self, key, pattern):
        """Presses a key again and again: a shell names the job before it gives it the terminal."""
        for _ in range(PATIENCE):
            self.send(key)
            try:
                return self.expect(pattern, patience=1)
            except Disappointed:
                pass
        raise Disappointed("pressed %r, waited for %r" % (key, pattern))

    def expect(self, pattern, patience=PATIENCE):
        """Reads until `pattern` has come; returns the match. What came before it is gone."""
        end = time.time() + patience
        while not (match := re.search(pattern, self.unread)):
            ready = select.select([self.fd], [], [], max(0.0, end - time.time()))[0]
            try:
                data = os.read(self.fd, 4096).decode(errors="replace") if ready else ""
            except OSError:
                data = ""
            if not data:
                raise Disappointed("waited for %r%s" % (pattern, "" if ready else ", nothing came"))
            self.transcript += data
            # Two terminals are in line, and QEMU leaves the outer one's newline processing on.
            self.unread = (self.unread + data).replace("\r\r\n", "\r\n")
        self.unread = self.unread[match.end():]
        return match

    def command(self, line, *patterns):
        """Types a line at the prompt, expects the patterns and the next prompt."""
        self.send(line + "\n")
        self.expect(re.escape(line[-20:]))
        matches = [self.expect(pattern) for pattern in patterns]
        self.expect(PROMPT)
        return matches

    def status(self):
        end = time.time() + PATIENCE
        while time.time() < end:
            try:
                data = os.read(self.fd, 4096) if select.select([self.fd], [], [], 1)[0] else b""
                self.transcript += data.decode(errors="replace")
            except OSError:
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        raise Disappointed("the session does not end")

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def start_job(s, command):
    """Starts a command in the foreground; it has the terminal when this returns, so keys typed now are for it."""
    s.send("sh -c 'echo started; exec %s'\n" % command)
    s.expect(r"started\r\n")


def simple_commands(s):
    s.command("echo $((6*7)) | tr 4 5", r"52\r\n")
    s.command("cd /tmp; pwd", r"/tmp\r\n")
    s.command("ls /absent; echo $?", r"No such file", r"1\r\n")
    s.command("[ -t 0 ] && echo a terminal", r"a terminal\r\n")


def line_editing(s):
    s.send("echo hellp\x7fo")
    s.expect("o")
    s.send("\n")
    s.expect(r"\nhello\r\n")
    s.expect(PROMPT)
    start_job(s, "cat")
    s.send("wrong line\x15right lime\x7f\x7fne\n")          # the terminal's own editing: kill, erase
    s.expect(r"\r\nright line\r\n")
    s.send("\x04")
    s.expect(PROMPT)


def interrupt_and_quit(s):
    start_job(s, "sleep 1000")
    s.send("\x03")
    s.expect(PROMPT)
    s.command("echo status $?", r"status 130\r\n")
    start_job(s, "sleep 1000")
    s.send("\x1c")
    s.expect(PROMPT)
    s.command("echo status $?", r"status 131\r\n")
    start_job(s, "yes > /dev/null")
    s.send("\x03")
    s.expect(PROMPT)


def job_control(s):
    start_job(s, "sleep 1000")
    s.send("\x1a")
    s.expect(r"Stopped")
    s.expect(PROMPT)
    s.command("jobs", r"\[1\]\+\s+Stopped\s+sh -c")
    s.command("bg", r"sh -c")
    s.command("jobs", r"Running\s+sh -c")
    s.send("fg\n")
    s.expect(r"sleep 1000\"?\r\n")
    s.press_until("\x03", PROMPT)
    s.command("jobs | wc -l", r"0\r\n")
    s.command("sleep 1001 & sleep 1002 &")
    s.command("kill %1; wait %1; echo $?", r"143\r\n")
    s.command("kill -9 %2; wait %2; echo $?", r"137\r\n")
    s.command("sleep 0 & wait; echo waited", r"waited\r\n")
    s.command("cat &")                                     # reads in the background: stopped
    s.command("sleep 1; jobs", r"Stopped \(tty input\)\s+cat")
    s.command("kill -9 %%; wait; echo gone", r"gone\r\n")


def the_editor(s):
    s.command("rm -f note; stty rows 24 cols 80; export TERM=vt100")
    s.send("vi note\n")
    s.expect(r"note")
    s.send("ifirst line\nsecond lin\x7f\x7fine\x1b")
    s.expect(r"\n?- note \[Modified\]")                   # out of insertion; a key right after Escape would be part of a sequence
    s.send("ggyyp")                                       # copies the first line
    s.send(":%s/first/FIRST/\r")
    s.send("Gdd")                                         # removes the last
    s.send(":wq\n")
    s.expect(PROMPT)
    s.command("cat note", r"\nFIRST line\r\nFIRST line\r\n")
    s.send("vi note\n")
    s.expect(r"note")
    s.send("dd:q!\r")
    s.expect(PROMPT)
    s.command("wc -l note", r"2 note")


def watching_processes(s):
    s.command("sleep 1003 &")
    s.command("ps | grep '[s]leep 1003'", r"\d+ .*sleep 1003")
    s.send("top\n")
    s.expect(r"Mem:.*used.*free")
    s.expect(r"PID\s+PPID")
    s.send("q")
    s.expect(PROMPT)
    s.command("kill %1; wait; echo done", r"done\r\n")
    s.command("stty -echo; stty -a | grep -c -- '-echo '; stty echo", r"1\r\n")


def full_screen_pager(s):
    s.send("seq 200 | less\n")
    s.expect(r"\n?23\b")
    s.send("G")
    s.expect(r"200")
    s.send("q")
    s.expect(PROMPT)


SCENES = [simple_commands, line_editing, interrupt_and_quit, job_control, the_editor, watching_processes, full_screen_pager]


def start(arguments):
    environment = {"PATH": os.environ["PATH"], "TERM": "vt100", "BUILD": os.environ.get("BUILD", "build")}
    if arguments[:1] != ["--host"]:
        return Session([os.path.join(ROOT, "tools/run"), "--timeout", "400", *arguments, "-i", "--", "sh", "-i"], environment)
    busybox = os.path.join(ROOT, environment["BUILD"], "busybox")
    return Session([busybox, "sh", "-i"], environment | {"PS1": "READY0> "})


def main():
    session = start(sys.argv[1:])
    scene = None
    try:
        time.sleep(0.5)
        session.send("PS1='READY'; PS1=${PS1}1'> '\n")
        session.expect(r"READY1> ")
        for scene in SCENES:
            scene(session)
            print("ok %s" % scene.__name__)
        session.send("exit 7\n")
        status = session.status()
        if status != 7:
            raise Disappointed("exit 7 gave %d" % status)
        print("ok the shell's exit status")
        return 0
    except Disappointed as what:
        print("FAIL %s: %s\n--- transcript\n%s" % (scene.__name__ if scene else "start", what, session.transcript[-3000:]))
        return 1
    finally:
        session.close()


if __name__ == "__main__":
    sys.exit(main())
