#!/usr/bin/env python3
"""The programs of user/messages: as many processes as may be, one machine or several, the results are the same, and right.

usage: teams.py [--cluster]
On this machine, over TCP; with --cluster on three machines of tools/cluster.
"""
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tools"))
sys.dont_write_bytecode = True
import machine

PATTERNS = os.path.join(TOP, "user", "messages", "patterns")
DEADLOCK, USAGE = 3, 2
RUNNER = machine.i386_runner()


def run(*command, status=0, machines=0):
    """Standard output and error of a program of user/messages, here or on so many machines."""
    before = [os.path.join(TOP, "tools", "cluster"), "--timeout", "300", "--mem", "64", str(machines)] if machines else RUNNER
    program = command[0] if machines else os.path.join(machine.BUILD, "user", "messages", command[0])
    where = [] if machines else ["--tcp"]
    ran = subprocess.run([*before, program, *where, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    if ran.returncode != status:
        raise AssertionError("%s: status %d, wanted %d\n%s%s" % (" ".join(command), ran.returncode, status, ran.stdout, ran.stderr))
    return ran.stdout, ran.stderr


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError("%s: got %r, wanted %r" % (what, got, wanted))


# --- life, once more and in another way: a set of the cells that are alive

def cells_of(name):
    body = "".join(line for line in open(os.path.join(PATTERNS, name)) if line[0] not in "#x")
    cells, x, y = set(), 0, 0
    for count, what in re.findall(r"(\d*)([bo$!])", body):
        for _ in range(int(count or 1)):
            if what == "o":
                cells.add((x, y))
            x, y = (0, y + 1) if what == "$" else (x + 1, y)
    return cells


def generations(name, size, count):
    """Each board as rows of 0 and 1, the pattern in the middle of the first."""
    width, height = size
    pattern = cells_of(name)
    left, top = (width - max(x for x, _ in pattern) - 1) // 2, (height - max(y for _, y in pattern) - 1) // 2
    alive = {(left + x, top + y) for x, y in pattern}
    for generation in range(count + 1):
        yield bytes((x, y) in alive for y in range(height) for x in range(width))
        neighbours = {}
        for x, y in alive:
            for a in (-1, 0, 1):
                for b in (-1, 0, 1):
                    if a or b:
                        place = (x + a) % width, (y + b) % height
                        neighbours[place] = neighbours.get(place, 0) + 1
        alive = {place for place, n in neighbours.items() if n == 3 or (n == 2 and place in alive)}


def line_of(board, generation):
    checksum = 2166136261
    for cell in board:
        checksum = (checksum ^ cell) * 16777619 & 0xffffffff
    return "generation %d: %d alive, checksum %08x\n" % (generation, sum(board), checksum)


def life_of(name, size, count):
    *_, last = generations(name, size, count)
    return line_of(last, count)


def life(name, size, count, *more, **how):
    path = name if how.get("machines") else os.path.join(PATTERNS, name)
    return run("life", "--size", "%dx%d" % size, "--generations", str(count), *more, path, **how)


def check_life():
    for name, size, count in (("gosper-gun.rle", (60, 31), 120), ("r-pentomino.rle", (40, 13), 60), ("glider.rle", (7, 5), 40), ("blinker.rle", (3, 3), 3)):
        wanted = life_of(name, size, count)
        for processes in (1, 2, 3, 5, 8):
            expect("%s by %d" % (name, processes), life(name, size, count, "-n", str(processes))[0], wanted)
    expect("64 processes, 33 rows", life("glider.rle", (9, 33), 10, "-n", "64")[0], life_of("glider.rle", (9, 33), 10))


def check_pictures():
    boards = list(generations("glider.rle", (8, 6), 5))
    with tempfile.TemporaryDirectory() as folder:
        drawn = life("glider.rle", (8, 6), 5, "-n", "4", "--picture", "--pgm", os.path.join(folder, "g"))[0].splitlines()
        files = sorted(glob.glob(os.path.join(folder, "*")))
        expect("files", [os.path.basename(file) for file in files], ["g-%04d.pgm" % number for number in range(6)])
        expect("PGM", [open(file, "rb").read() for file in files], [b"P5\n8 6\n1\n" + board for board in boards])
    for number, board in enumerate(boards):
        lines, drawn = drawn[:3], drawn[4:]
        expect("drawn", "".join(lines).translate({ord(c): None for c in " ▀▄█"}), "")
        upper = [int(c in "▀█") for line in lines for c in line]
        lower = [int(c in "▄█") for line in lines for c in line]
        rows = [part[y * 8:y * 8 + 8] for y in range(3) for part in (upper, lower)]
        expect("generation %d, drawn" % number, sum(rows, []), list(board))


def check_naive():
    for processes in (2, 3, 6):
        printed = life("glider.rle", (9, 12), 5, "--naive", "-n", str(processes), status=DEADLOCK)[1]
        expect("reports of the deadlock of %d" % processes, printed.count("deadlock"), 1)
    expect("nobody to wait for", life("glider.rle", (9, 12), 5, "--naive", "-n", "1")[0], life_of("glider.rle", (9, 12), 5))


BAD_PATTERNS = {
    "": "no line such as", "#C only this\n": "no line such as", "bob$!\n": "line 1: expected", "x = 3\n3o!": "line 1: expected",
    "x = 0, y = 3\n!": "a width and a height", "x = 3, y = 99999999\n!": "a width and a height",
    "x = 3, y = 3, rule = B3/S29\n!": "not a rule", "x = 3, y = 3, rule = 23/3\n!": "not a rule", "x = 3, y = 3, rule = B3/S23:T9\n!": "not a rule",
    "x = 3, y = 3\n3o": "does not end with !", "x = 3, y = 3\n3o$": "does not end with !", "x = 3, y = 3\n4o!": "line 2: cells outside",
    "x = 3, y = 1\n\n3o$\no!": "line 4: cells outside", "x = 3, y = 3\n3A!": "'A' cannot stand here", "x = 3, y = 3\n3!": "'!' cannot stand here",
    "x = 3, y = 3\n99999999999999999999o!": "a run of impossible length", "x = 3, y = 3\n0o!": "a run of impossible length",
    "x = 3, y = 3\n\x01\xff": "cannot stand here",
}


def check_bad_patterns():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pattern.rle")
        for text, complaint in BAD_PATTERNS.items():
            open(path, "w", encoding="latin-1").write(text)
            told = run("life", path, status=USAGE)[1]
            if complaint not in told:
                raise AssertionError("%r: %r does not say %r" % (text, told, complaint))
        open(path, "w").write("#N x\r\nx=3,y=2\r\n  2b\r\n o $\r\n3o!\r\n what follows is no part of it")
        run("life", "-n", "1", path)
    run("life", os.path.join(PATTERNS, "absent.rle"), status=USAGE)
    run("life", "--size", "30x9", os.path.join(PATTERNS, "gosper-gun.rle"), status=USAGE)


def check_farm():
    with tempfile.TemporaryDirectory() as folder:
        path, pictures = os.path.join(folder, "picture"), set()
        for workers in (1, 2, 7, 30):
            expect("primes", run("farm", "--primes", "30000", "-n", str(workers))[0], "3245 primes below 30000\n")
            run("farm", "--mandelbrot", "31x20", "--pgm", path, "-n", str(workers))
            pictures.add(open(path, "rb").read())
        expect("pictures", len(pictures), 1)
        head, rows = pictures.pop()[:13], []
        expect("PGM", head, b"P5\n31 20\n255\n")
        picture = open(path, "rb").read()[13:]
        rows = [picture[y * 31:y * 31 + 31] for y in range(20)]
        expect("the lower half", rows[10:], rows[9::-1])
        expect("0 + 0i, and the corner", (rows[10][22], rows[0][0]), (255, 1))
    expect("fewer items than workers", run("farm", "--primes", "3", "-n", "5")[0], "1 primes below 3\n")


def check_killed_worker():
    """Who waits for anybody hears of it too."""
    farm = subprocess.Popen(RUNNER + [os.path.join(machine.BUILD, "user", "messages", "farm"), "--tcp", "-n", "3", "--primes", "2000000000"],
                            stderr=subprocess.PIPE, text=True)
    children = "/proc/%d/task/%d/children" % (farm.pid, farm.pid)
    deadline = time.monotonic() + 60
    while len(workers := open(children).read().split()) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(int(workers[1]), signal.SIGKILL)
    told = farm.communicate(timeout=60)[1]
    expect("status", farm.returncode, 128 + signal.SIGKILL)
    if "killed by signal 9" not in told:
        raise AssertionError(told)


def check_cluster():
    wanted = life_of("gosper-gun.rle", (60, 31), 40)
    expect("life on three machines", life("gosper-gun.rle", (60, 31), 40, machines=3)[0], wanted)
    printed = life("glider.rle", (9, 12), 5, "--naive", machines=3, status=DEADLOCK)[1]
    expect("reports of the deadlock", printed.count("deadlock"), 1)
    expect("primes on three machines", run("farm", "--primes", "30000", machines=3)[0], "3245 primes below 30000\n")


def main():
    parts = (check_cluster,) if "--cluster" in sys.argv else (
        check_life, check_pictures, check_naive, check_bad_patterns, check_farm, check_killed_worker)
    failed = False
    for part in parts:
        try:
            part()
            print("%s: as it should be" % part.__name__)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            print("%s: %s" % (part.__name__, error))
            failed = True
    return 1 if failed else 0


sys.exit(main())
