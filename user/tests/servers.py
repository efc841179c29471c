#!/usr/bin/env python3
"""The servers of user/servers in the guest, asked from this machine by clients that behave and by some that do not.

usage: servers.py [SERVER]... [-- OPTION OF tools/run...]
Each SERVER (server_threads, server_poll, server_epoll and server_uring) has a machine of its own, in which it may open few descriptors.
"""
import hashlib
import os
import re
import socket
import struct
import subprocess
import sys
import time

TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
PATIENCE = 120  # seconds
DESCRIPTORS = 64


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        # QEMU's forwarded port has an accept queue of one, emptied once in each turn of its loop: who comes while it is full is let in by this
        # machine only when its system repeats the request, a second later.
        time.sleep(0.02)

    def send(self, data):
        self.socket.sendall(data)
        return self

    def ask(self, path, method="GET", version="1.1", more=""):
        return self.send(("%s %s HTTP/%s\r\nHost: x\r\n%s\r\n" % (method, path, version, more)).encode())

    def end_of_requests(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def read_all(self):
        """Until the server hangs up."""
        data = bytearray()
        while part := self.socket.recv(1 << 16):
            data += part
        return bytes(data)

    def read_until(self, end):
        data = bytearray()
        while not data.endswith(end):
            part = self.socket.recv(1 << 16)
            if not part:
                raise OSError("the server hung up after %r" % bytes(data[-100:]))
            data += part
        return bytes(data)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


HELLO = b"Hello from Faultline's server.\n"


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError("%s: got %r, wanted %r" % (what, got, wanted))


def body_of(answer):
    return answer.split(b"\r\n\r\n", 1)[1]


def pattern(length):
    """What /bytes/N says: user/servers/service.h."""
    state, data = 1, bytearray()
    for _ in range(length):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        data.append(state >> 24)
    return bytes(data)


def is_served(port):
    expect("a client", Client(port).ask("/hello").read_until(HELLO)[-len(HELLO):], HELLO)


def check_http(port):
    client = Client(port)
    for _ in range(3):  # the connection stays
        expect("GET", body_of(client.ask("/hello").read_until(HELLO)), HELLO)
    expect("HTTP/1.0", body_of(Client(port).ask("/hello", version="1.0").read_all()), HELLO)
    expect("HEAD", body_of(Client(port).ask("/", "HEAD", more="Connection: close\r\n").read_all()), b"")
    expect("nothing there", Client(port).ask("/nothing", version="1.0").read_all()[:12], b"HTTP/1.1 404")
    expect("POST", Client(port).ask("/", "POST", more="Content-Length: 0\r\n").read_all()[:12], b"HTTP/1.1 405")
    expect("a half-closed client", body_of(Client(port).ask("/hello", more="Connection: close\r\n").end_of_requests().read_all()), HELLO)


def check_lines(port):
    expect("lines", Client(port).send(b"upper abc def\r\nsum 1 2 -45\nquit\n").read_all(), b"ABC DEF\n-42\ngoodbye\n")
    client = Client(port)
    for byte in b"sum 40 2\n":  # each in a packet of its own
        client.send(bytes([byte]))
        time.sleep(0.01)
    expect("a line in pieces", client.read_until(b"\n"), b"42\n")


def check_large(port):
    wanted = pattern(1_000_000)
    answer = Client(port).ask("/bytes/1000000", version="1.0").read_all()
    expect("a million bytes", hashlib.md5(body_of(answer)).hexdigest(), hashlib.md5(wanted).hexdigest())
    expect("500 requests at once", Client(port).send(b"GET /hello HTTP/1.1\r\n\r\n" * 500).end_of_requests().read_all().count(HELLO), 500)


def check_rude_clients(port):
    slow = [Client(port).send(b"GET /hel") for _ in range(10)]  # and say no more for now
    greedy = Client(port).ask("/bytes/50000000")                # and does not read
    is_served(port)
    for client in slow:
        client.send(b"lo HTTP/1.1\r\n\r\n")
        expect("who was slow", client.read_until(HELLO)[-len(HELLO):], HELLO)
    greedy.reset()
    for _ in range(20):
        Client(port).ask("/bytes/1000000").reset()
    is_served(port)


def run(*command):
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)
    if ran.returncode != 0:
        raise AssertionError("%s ended with %d: %s" % (" ".join(command), ran.returncode, ran.stdout.decode(errors="replace")))
    return ran.stdout


def check_curl(port):
    url = "http://127.0.0.1:%d" % port
    expect("curl, twice over one connection", run("curl", "-sSf", url + "/hello", url + "/hello"), 2 * HELLO)
    answer = run("curl", "-sSf", url + "/bytes/1000000")
    expect("curl, a million bytes", hashlib.md5(answer).hexdigest(), hashlib.md5(pattern(1_000_000)).hexdigest())
    expect("curl, what is not there", run("curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", url + "/nothing"), b"404")


def check_wrk(port):
    """Twenty connections that ask as often as they can: wrk tells of every answer that is none."""
    told = run("wrk", "-t", "1", "-c", "20", "-d", "3s", "--timeout", "%ds" % PATIENCE, "http://127.0.0.1:%d/hello" % port).decode()
    requests = re.search(r"(\d+) requests in", told)
    if not requests or int(requests[1]) < 100 or "Socket errors" in told or "Non-2xx" in told:
        raise AssertionError("wrk: " + told)


def check_crowd(port):
    """More clients than descriptors: some are served, the others are hung up on, and the server goes on."""
    crowd = [Client(port) for _ in range(2 * DESCRIPTORS)]
    served = 0
    for client in crowd:
        try:
            client.ask("/hello").read_until(HELLO)
            served += 1
        except OSError:
            pass
    if not DESCRIPTORS // 2 <= served < DESCRIPTORS:
        raise AssertionError("of %d clients %d were served with %d descriptors" % (len(crowd), served, DESCRIPTORS))
    for client in crowd:
        client.socket.close()
    deadline = time.monotonic() + PATIENCE
    while True:  # until it has seen that they went
        try:
            return is_served(port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_server(port, guest):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and guest.poll() is None:
        try:
            return is_served(port)
        except OSError:
            time.sleep(0.2)
    sys.exit("no server")


def check(server, options):
    port = free_port()
    guest = subprocess.Popen([os.path.join(TOP, "tools", "run"), "--net", "%d:80" % port, "--timeout", "600", *options, "sh", "-c",
                              "ulimit -n %d; exec %s 80" % (DESCRIPTORS, server)], stderr=subprocess.DEVNULL)
    try:
        wait_for_server(port, guest)
        for part in (check_http, check_lines, check_large, check_curl, check_wrk, check_rude_clients, check_crowd):
            try:
                part(port)
            except (AssertionError, OSError) as error:
                print("%s: %s: %s" % (server, part.__name__, error))
                return False
    finally:
        guest.terminate()
        guest.wait()
    print("%s: as it should be" % server)
    return True


def main():
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    servers = arguments[:split] or ["server_threads", "server_poll", "server_epoll", "server_uring"]
    return 0 if all([check(server, arguments[split + 1:]) for server in servers]) else 1


sys.exit(main())
