#!/usr/bin/env python3
"""A web server in the guest, asked from this machine through tools/run --net: files arrive whole, several at a time, and the answer to what
is not there is an answer. usage: web_server.py [--mib N] [OPTION OF tools/run]...
"""
import argparse
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
GUEST = """mkdir /tmp/www; cd /tmp/www; head -c $((%d << 20)) /dev/urandom > file; md5sum < file | cut -d' ' -f1 > sum
echo small > small; ifconfig eth0; exec httpd -f -p 80 -h /tmp/www"""
PATIENCE = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, name, timeout=PATIENCE):
    with urllib.request.urlopen("http://127.0.0.1:%d/%s" % (port, name), timeout=timeout) as answer:
        return answer.read()


def wait_for_server(port, guest):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if guest.poll() is not None:
            sys.exit("the guest ended with %d" % guest.returncode)
        try:
            return get(port, "sum", 5).decode().strip()
        except (OSError, urllib.error.URLError):
            time.sleep(0.3)
    sys.exit("no server after %d seconds" % PATIENCE)


def check(port, digest):
    wrong = []

    def fetch_file():
        if hashlib.md5(get(port, "file")).hexdigest() != digest:
            wrong.append("the file came in other bytes")

    def fetch_small():
        for _ in range(10):
            if get(port, "small") != b"small\n":
                wrong.append("the small file is not as it was")

    threads = [threading.Thread(target=fetch_file) for _ in range(2)] + [threading.Thread(target=fetch_small) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        get(port, "nothing")
        wrong.append("what is not there was found")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            wrong.append("what is not there is answered with %d" % error.code)
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=4)
    options, more = parser.parse_known_args()
    port = free_port()
    guest = subprocess.Popen([os.path.join(TOP, "tools", "run"), "--net", "%d:80" % port, "--timeout", "600", *more, "sh", "-c", GUEST % options.mib])
    try:
        wrong = check(port, wait_for_server(port, guest))
    finally:
        guest.terminate()
        guest.wait()
    print("\n".join(wrong) or "%d MiB, twice at a time, as they were" % options.mib)
    return bool(wrong)


sys.exit(main())
