#!/usr/bin/env python3
"""What comes over a wire that nobody answers for: this program is the whole network of a guest that serves HTTP.

usage: hostile_wire.py [--frames N] [--seed N] [OPTION OF tools/run]...

Connections are reset in every state that they can be in, left half open by hundreds, and send every second byte first; somebody says that he is
the guest itself; and N frames (20000) of noise come: random bytes, and frames of every protocol with some of it changed, half of them with sums
that are right again. After each the guest must serve as before, and at the end its free memory must be what it was.
"""
import argparse
import json
import os
import queue
import random
import socket
import struct
import subprocess
import sys
import threading
import time

TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
GUEST, US = bytes([192, 0, 2, 2]), bytes([192, 0, 2, 1])
GUEST_MAC, OUR_MAC = bytes([0x52, 0x54, 0, 0x12, 0x34, 0x56]), bytes([0x52, 0x54, 0, 0, 0, 1])
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
PATIENCE = 180  # seconds
# A connection to port 81 ends it. Nothing here sends to the guest's own loopback.
SCRIPT = """ifconfig eth0 192.0.2.2 netmask 255.255.255.0; server_epoll 80 & nc -l -p 81; set -- $(grep lo: /proc/net/dev)
[ "$3" = 0 ] || { echo "packets on lo: $3"; exit 1; }"""


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ethernet(kind, payload):
    return (GUEST_MAC + OUR_MAC + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def ip(protocol, payload, source=US, identification=0, fragment=0, options=b""):
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), identification, fragment, 64, protocol, 0,
                       source, GUEST) + options
    return ethernet(0x0800, head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload)


def with_sum(protocol, payload, at, source=US):
    pseudo = source + GUEST + struct.pack("!BBH", 0, protocol, len(payload))
    return payload[:at] + struct.pack("!H", checksum(pseudo + payload[:at] + b"\0\0" + payload[at + 2:])) + payload[at + 2:]


def tcp(port, to, sequence, acknowledged, flags, data=b"", window=65535, options=b"", source=US):
    segment = struct.pack("!HHIIBBHHH", port, to, sequence & 0xffffffff, acknowledged & 0xffffffff, (5 + len(options) // 4) << 4, flags, window, 0,
                          0) + options + data
    return ip(6, with_sum(6, segment, 16, source), source)


def udp(port, to, data):
    return ip(17, with_sum(17, struct.pack("!HHHH", port, to, 8 + len(data), 0) + data, 6))


def echo(data):
    message = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + data
    return ip(1, message[:2] + struct.pack("!H", checksum(message)) + message[4:])


def arp(operation, our_address=US, target=GUEST):
    return ethernet(0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + OUR_MAC + our_address + GUEST_MAC + target)


class Wire:
    """Answers ARP for everybody, and hands segments to the connections they are for."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.guest = probe.getsockname()
        self.ends = {}
        self.frames_from_guest = 0
        threading.Thread(target=self.listen, daemon=True).start()

    def options(self):
        return "-netdev socket,id=wire,udp=127.0.0.1:%d,localaddr=127.0.0.1:%d -device virtio-net-pci,netdev=wire,romfile=,mac=%s" % (
            self.socket.getsockname()[1], self.guest[1], ":".join("%02x" % byte for byte in GUEST_MAC))

    def send(self, frame):
        try:
            self.socket.sendto(frame or b"\0", self.guest)  # of nothing QEMU thinks that the wire was cut
        except OSError:
            pass  # too long for a datagram, or the guest is gone: who waits for an answer will tell

    def listen(self):
        while True:
            try:
                frame = self.socket.recv(1 << 16)
            except ConnectionRefusedError:
                continue  # QEMU is not there yet
            self.frames_from_guest += 1
            kind = frame[12:14]
            if kind == b"\x08\x06" and frame[20:22] == b"\0\1":
                self.send(arp(2, frame[38:42], frame[28:32]))
            elif kind == b"\x08\0" and frame[23] == 6:
                segment = frame[34:14 + struct.unpack("!H", frame[16:18])[0]]
                port = struct.unpack("!H", segment[2:4])[0]
                if port in self.ends:
                    self.ends[port].put(segment)


class Connection:
    """A client's end of TCP, as far as the guest can tell: it acknowledges what comes in order and repeats nothing."""
    next_port = 20000

    def __init__(self, wire):
        self.wire, self.received, self.ended, self.was_reset = wire, b"", False, False
        Connection.next_port += 1
        self.port, self.to, self.sequence, self.acknowledged = Connection.next_port, 80, random.getrandbits(32), 0
        self.segments = wire.ends[self.port] = queue.Queue()

    def send(self, flags, data=b"", **more):
        self.wire.send(tcp(self.port, self.to, self.sequence, self.acknowledged, flags, data, **more))
        self.sequence += len(data) + (1 if flags & (SYN | FIN) else 0)
        return self

    def wait(self, wanted):
        """Takes segments until one has these flags. False: none came for a while."""
        while True:
            try:
                segment = self.segments.get(timeout=5)
            except queue.Empty:
                return False
            sequence, _, offset, flags = struct.unpack("!IIBB", segment[4:14])
            data = segment[(offset >> 4) * 4:]
            if flags & RST:
                self.was_reset = self.ended = True
                return bool(wanted & RST)
            if flags & SYN:
                self.acknowledged = sequence + 1
            elif sequence == self.acknowledged & 0xffffffff:
                self.received += data
                self.acknowledged += len(data) + (flags & FIN)
                self.ended |= bool(flags & FIN)
            if data or flags & FIN:
                self.send(ACK)
            if flags & wanted == wanted:
                return True

    def connect(self, to=80):
        self.to, first = to, self.sequence
        for _ in range(PATIENCE // 5):
            self.sequence = first
            if self.send(SYN, options=b"\x02\x04\x05\xb4").wait(SYN | ACK):
                return self.send(ACK)
        raise AssertionError("the guest does not take connections")

    def reset(self):
        return self.send(RST | ACK)

    def forget(self):
        del self.wire.ends[self.port]


def get(wire, path):
    connection = Connection(wire).connect()
    connection.send(ACK | PSH, ("GET %s HTTP/1.0\r\n\r\n" % path).encode())
    while not connection.ended and connection.wait(ACK):
        pass
    if connection.ended and not connection.was_reset:
        connection.send(FIN | ACK).wait(ACK)
    connection.forget()
    if not connection.received.startswith(b"HTTP/1.1 200"):
        raise AssertionError("%s: the guest answers %r" % (path, connection.received[:80]))
    return connection.received.split(b"\r\n\r\n", 1)[1]


def free_kib(wire):
    return json.loads(get(wire, "/figures"))["free"]


HELLO = b"GET /hello HTTP/1.1\r\n\r\n"
QUIT = b"quit\n"  # the server hangs up: it goes first


def states(wire):
    """Connections in all states that the guest's end can be in, by name."""
    def opened():
        return Connection(wire).connect()

    def served():
        connection = opened().send(ACK | PSH, HELLO)
        connection.wait(PSH)
        return connection

    def left_by_server(*answers):
        connection = opened().send(ACK | PSH, QUIT)
        connection.wait(FIN)  # acknowledged: its end is in FIN_WAIT_2
        for flags in answers:
            connection.send(flags)
        return connection

    yield "SYN_RCVD", lambda: Connection(wire).send(SYN)
    yield "ESTABLISHED", opened
    yield "ESTABLISHED, served", served
    yield "ESTABLISHED, in a request", lambda: opened().send(ACK | PSH, HELLO[:7])
    yield "ESTABLISHED, with an answer under way", lambda: opened().send(ACK | PSH, b"GET /bytes/1000000 HTTP/1.1\r\n\r\n")
    yield "ESTABLISHED, window closed", lambda: opened().send(ACK | PSH, b"GET /bytes/1000000 HTTP/1.1\r\n\r\n", window=0)
    yield "CLOSE_WAIT or LAST_ACK", lambda: opened().send(FIN | ACK)
    yield "LAST_ACK, after a request", lambda: served().send(FIN | ACK)
    yield "FIN_WAIT_1", lambda: opened().send(ACK | PSH, QUIT)
    yield "FIN_WAIT_2", left_by_server
    yield "TIME_WAIT", lambda: left_by_server(FIN | ACK)
    yield "both at once", lambda: opened().send(ACK | PSH, QUIT).send(FIN | ACK)


def check_resets(wire):
    for _ in range(5):
        for _, make in states(wire):
            connection = make()
            connection.reset()
            connection.forget()


def check_out_of_order(wire):
    """Every second byte, then those between: of what comes out of order only so much is kept."""
    connection = Connection(wire).connect()
    first, count, most = connection.sequence, 1000, 0
    for number, at in enumerate([*range(1, 2 * count, 2), *range(0, 2 * count, 2)]):
        wire.send(tcp(connection.port, 80, first + at, connection.acknowledged, ACK, b"x"))
        if number % 32 == 0:
            time.sleep(0.01)  # as below
    while True:
        try:
            most = max(most, (struct.unpack("!I", connection.segments.get(timeout=1)[8:12])[0] - first) & 0xffffffff)
        except queue.Empty:
            break
    connection.sequence = first + most
    connection.reset().forget()
    if not 0 < most < count:
        raise AssertionError("%d of %d bytes that came out of order were kept" % (most, 2 * count))


def check_impostors(wire):
    """Nobody has this port: the answer would go to the guest itself."""
    for source in (bytes([127, 0, 0, 1]), GUEST, bytes([127, 9, 9, 9])):
        wire.send(ip(17, struct.pack("!HHHH", 9, 9, 8, 0), source))


def check_half_open(wire):
    """More connections than a queue holds, of which nobody says more than the first word."""
    half_open = [Connection(wire).send(SYN) for _ in range(600)]
    for connection in half_open:
        connection.wire.ends.pop(connection.port)
    get(wire, "/hello")  # once some of them have timed out, at the latest
    for connection in half_open:
        connection.acknowledged = 0
        connection.send(RST)


class Noise:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def bytes(self, most):
        return self.random.randbytes(self.random.randrange(most))

    def good(self):
        """A frame as it should be."""
        r = self.random
        port, number = r.randrange(65536), r.getrandbits(32)
        return r.choice([
            lambda: tcp(port, 80, number, r.getrandbits(32), r.randrange(64), self.bytes(200), r.randrange(65536), self.bytes(10).ljust(12, b"\1")),
            lambda: tcp(port, 80, number, 0, SYN, options=b"\x02\x04" + struct.pack("!H", port) + b"\x03\x03\x0e\0"),
            lambda: tcp(port, r.choice([80, 22, 1]), number, number, ACK, self.bytes(1400)),
            lambda: udp(port, r.choice([67, 68, 53, port]), self.bytes(600)),
            lambda: udp(67, 68, b"\2\1\6\0" + self.bytes(40).ljust(232, b"\0") + b"\x63\x82\x53\x63" + self.bytes(80)),
            lambda: echo(self.bytes(1400)),
            lambda: arp(r.randrange(4), r.randbytes(4), r.choice([GUEST, r.randbytes(4)])),
            lambda: ip(r.choice([1, 2, 6, 17, 50, 255]), self.bytes(200)),
            lambda: ip(17, self.bytes(8).ljust(8 * r.randrange(1, 100), b"x"), identification=number % 8,
                       fragment=r.randrange(0, 8190) | r.choice([0, 0x2000])),
            lambda: ip(6, self.bytes(100), options=r.randbytes(4 * r.randrange(11))),
        ])()

    def frame(self):
        r = self.random
        if r.randrange(8) == 0:
            return self.bytes(r.choice([20, 100, 1515, 9000]))
        frame = bytearray(self.good())
        for _ in range(r.choice([0, 0, 1, 1, 2, 5, 20])):
            frame[r.randrange(min(len(frame), 74))] = r.randrange(256)
        if r.randrange(2):
            frame = frame[:r.randrange(len(frame) + 1)]
        elif len(frame) >= 34 and frame[12:14] == b"\x08\0":  # a sum that is right, for what is behind it to be looked at
            frame[24:26] = b"\0\0"
            frame[24:26] = struct.pack("!H", checksum(bytes(frame[14:34])))
            if frame[23] in (6, 17) and len(frame) >= 54:
                at, end = {6: 16, 17: 6}[frame[23]], min(len(frame), 14 + struct.unpack("!H", frame[16:18])[0])
                frame[34:end] = with_sum(frame[23], bytes(frame[34:end]), at, bytes(frame[26:30]))
        return bytes(frame)


def check_noise(wire, seed, frames):
    noise = Noise(seed)
    for number in range(frames):
        wire.send(noise.frame())
        if number % 50 == 0:
            time.sleep(0.01)  # the guest is slower than we are, and what QEMU cannot hand over is lost
        if number % 5000 == 4999:
            get(wire, "/hello")


def check_memory(wire, before):
    """As much as after the first of it, once timers have ended what waits: less what slabs may keep, of which one buffer lost in a hundred
    frames is more."""
    deadline = time.monotonic() + PATIENCE
    while (after := free_kib(wire)) < before - 256:
        if time.monotonic() > deadline:
            raise AssertionError("%d KiB were free, %d are" % (before, after))
        time.sleep(2)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--frames", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.getrandbits(30))
    options, more = parser.parse_known_args()
    wire = Wire()
    guest = subprocess.Popen([os.path.join(TOP, "tools", "run"), "--timeout", "900", *more, "sh", "-c", SCRIPT],
                             env=dict(os.environ, QEMUEXTRA=wire.options()), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        check_resets(wire)
        check_noise(wire, options.seed, 2000)
        before = free_kib(wire)
        for name, check in (("resets", check_resets), ("half-open connections", check_half_open), ("bytes out of order", check_out_of_order),
                            ("impostors", check_impostors), ("noise", lambda wire: check_noise(wire, options.seed, options.frames))):
            check(wire)
            get(wire, "/hello")
            print("served after " + name, flush=True)
        check_memory(wire, before)
        print("as much memory is free as before")
        Connection(wire).connect(81).reset()
        said, _ = guest.communicate(timeout=PATIENCE)
        print(said if guest.returncode else "nobody believed an impostor")
        return guest.returncode
    except AssertionError as error:
        print("seed %d: %s" % (options.seed, error))
        if guest.poll() is not None:
            print("tools/run ended with %d: %s" % (guest.returncode, guest.stdout.read()))
        return 1
    finally:
        guest.terminate()
        guest.wait()


sys.exit(main())
