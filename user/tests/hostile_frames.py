#!/usr/bin/env python3
"""Frames that no honest machine sends, on the wire of a guest's network card: who says that he is the guest itself is not believed, and of what
comes out of order only so much is kept. usage: hostile_frames.py [OPTION OF tools/run]...
"""
import os
import socket
import struct
import subprocess
import sys
import time

TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
PATIENCE = 120
GUEST, PEER, OWN_MAC = "10.0.2.15", "10.0.2.99", bytes.fromhex("525400000099")
# The end of the connection to port 81 ends it; nothing here has sent anything to the guest's own loopback.
SCRIPT = """ifconfig eth0 %s netmask 255.255.255.0; httpd -p 80 -h /; nc -l -p 81; set -- $(grep lo: /proc/net/dev)
[ "$3" = 0 ] || { echo "packets on lo: $3"; exit 1; }""" % GUEST
FIN, SYN, RST, ACK = 1, 2, 4, 16


def checksum(data):
    total = sum(struct.unpack("!%dH" % ((len(data) + 1) // 2), data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Wire:
    """The other end: one machine with the address PEER, which answers who asks for it."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.guest = probe.getsockname()
        self.mac = b"\xff" * 6

    def ports(self):
        return "%d:%d" % (self.socket.getsockname()[1], self.guest[1])

    def send(self, kind, payload):
        self.socket.sendto((self.mac + OWN_MAC + struct.pack("!H", kind) + payload).ljust(60, b"\0"), self.guest)

    def send_arp(self, operation):
        addresses = OWN_MAC + socket.inet_aton(PEER) + self.mac + socket.inet_aton(GUEST)
        self.send(0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + addresses)

    def send_ip(self, source, protocol, payload):
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(GUEST))
        self.send(0x0800, header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload)

    def send_echo(self):
        body = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"hostile"
        self.send_ip(PEER, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])

    def send_tcp(self, port, flags, sequence, acknowledged=0, data=b""):
        segment = struct.pack("!HHIIBBHHH", 4000, port, sequence, acknowledged, 5 << 4, flags, 8192, 0, 0) + data
        pseudo = socket.inet_aton(PEER) + socket.inet_aton(GUEST) + struct.pack("!BBH", 0, 6, len(segment))
        self.send_ip(PEER, 6, segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:])

    def frames(self):
        """Those that have come within a moment, as type and payload."""
        while True:
            try:
                frame = self.socket.recv(65536)
            except socket.timeout:
                return
            self.mac, kind, payload = frame[6:12], struct.unpack("!H", frame[12:14])[0], frame[14:]
            if kind == 0x0806 and payload[6:8] == b"\0\1" and payload[24:28] == socket.inet_aton(PEER):
                self.send_arp(2)
            yield kind, payload

    def ask(self, question, is_answer):
        """Repeats the question until the answer comes, which is returned."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            question()
            for kind, payload in self.frames():
                if is_answer(kind, payload):
                    return payload
        sys.exit("no answer after %d seconds" % PATIENCE)


def is_tcp(kind, payload, port):
    return kind == 0x0800 and payload[9] == 6 and payload[20:22] == struct.pack("!H", port)


def connect(wire, port):
    """The guest's next sequence number."""
    answer = wire.ask(lambda: wire.send_tcp(port, SYN, 999), lambda kind, payload: is_tcp(kind, payload, port) and payload[33] == SYN | ACK)
    theirs = struct.unpack("!I", answer[24:28])[0] + 1 & 0xFFFFFFFF
    wire.send_tcp(port, ACK, 1000, theirs)
    return theirs


def check(wire):
    wire.ask(lambda: wire.send_arp(1), lambda kind, payload: kind == 0x0806 and payload[6:8] == b"\0\2")
    for source in ("127.0.0.1", GUEST, "127.9.9.9"):
        wire.send_ip(source, 17, struct.pack("!HHHH", 9, 9, 8, 0))  # nobody has this port: the answer would go to the guest itself
    wire.ask(wire.send_echo, lambda kind, payload: kind == 0x0800 and payload[9] == 1 and payload[20] == 0)
    # Every second byte, then those between.
    theirs, count, most = connect(wire, 80), 1000, 0
    for at in [*range(1, 2 * count, 2), *range(0, 2 * count, 2)]:
        wire.send_tcp(80, ACK, 1000 + at, theirs, b"x")
        if at % 64 < 2:  # before the socket is full
            most = max([most] + [struct.unpack("!I", payload[28:32])[0] - 1000 for kind, payload in wire.frames() if is_tcp(kind, payload, 80)])
    wire.send_tcp(80, RST, 1000 + most)
    wire.send_tcp(81, RST, 1000, connect(wire, 81))
    if not 0 < most < count:
        return ["%d of %d bytes that came out of order were kept" % (most, 2 * count)]
    return []


def main():
    wire = Wire()
    guest = subprocess.Popen([os.path.join(TOP, "tools", "run"), "--wire", wire.ports(), "--timeout", "300", *sys.argv[1:], "sh", "-c", SCRIPT])
    try:
        wrong = check(wire)
        status = guest.wait(PATIENCE)
    finally:
        guest.terminate()
        guest.wait()
    for each in wrong:
        print(each)
    sys.exit(1 if wrong else status)


if __name__ == "__main__":
    main()
