"""The frames that pass between the host and the agent inside the virtual machine.

Each frame is one kind byte, a four-byte big-endian length and the payload.  Both
sides import this file: the image holds a copy of it beside the agent.
"""

import json
import os
import struct
import tarfile
import time

HEADER = struct.Struct(">cI")
PIECE = 64 * 1024

# Guest to host.
HELLO = b"H"  # the boot is over; the payload describes the guest
ACCEPTED = b"A"  # a request was read
STDOUT = b"O"
STDERR = b"E"
EXIT = b"X"  # the command's exit status, as JSON
FAILED = b"F"  # the agent could not do something; the payload says what
DONE = b"D"  # the request is finished

# Host to guest.
REQUEST = b"R"

# Both ways: a tar archive in pieces, ended by an empty piece.
TAR = b"T"


class Closed(Exception):
    """The other side went away."""


class Channel:
    def __init__(self, read_fd, write_fd, wait_for_peer=False):
        self.read_fd = read_fd
        self.write_fd = write_fd
        # A virtio port reads as empty while the host has it closed.
        self.wait_for_peer = wait_for_peer

    def send(self, kind, payload=b""):
        data = memoryview(HEADER.pack(kind, len(payload)) + payload)
        while data:
            data = data[os.write(self.write_fd, data):]

    def send_json(self, kind, value):
        self.send(kind, json.dumps(value).encode())

    def receive(self):
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        return kind, self._exactly(length)

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            piece = os.read(self.read_fd, min(count - len(data), PIECE))
            if piece:
                data += piece
            elif self.wait_for_peer:
                time.sleep(0.05)
            else:
                raise Closed()
        return bytes(data)


class TarSink:
    """What tarfile writes an archive to."""

    def __init__(self, channel):
        self.channel = channel

    def write(self, data):
        self.channel.send(TAR, data)
        return len(data)

    def open(self):
        return tarfile.open(mode="w|", fileobj=self, bufsize=PIECE)

    def end(self):
        self.channel.send(TAR)


class TarSource:
    """What tarfile reads an archive from."""

    def __init__(self, channel):
        self.channel = channel
        self.rest = b""
        self.ended = False

    def read(self, count):
        while len(self.rest) < count and not self.ended:
            kind, piece = self.channel.receive()
            if kind != TAR:
                raise Closed(f"archive cut short: {piece.decode(errors='replace')}")
            self.rest += piece
            self.ended = not piece
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def open(self):
        archive = tarfile.open(mode="r|", fileobj=self, bufsize=PIECE)
        # Python 3.14 would leave out modes and links unless told; before 3.12 there
        # is nothing to tell.
        archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        return archive

    def end(self):
        while self.read(PIECE):
            pass
