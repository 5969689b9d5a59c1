"""Tiny servers on raw sockets that misbehave in one way each."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import struct
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Server:
    """Serves each connection with a script: script(connection, request head and body)."""

    def __init__(self, script, *, tls=None):
        self.script, self.tls = script, tls
        self.requests, self.connections = [], 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = []
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(line)
            thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, line):
        with contextlib.suppress(OSError):
            if self.tls:
                line = self.tls.wrap_socket(line, server_side=True)
                self._open.append(line)
            while request := read_request(line):
                self.requests.append(request)
                if self.script(line, request) is not True:
                    break
            line.close()

    def stop(self):
        """Close everything and wait for the threads."""
        self._end([self._listener], self._threads[:1])
        self._end(self._open, self._threads[1:])

    @staticmethod
    def _end(lines, threads):
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()


def read_request(line):
    """Read one request: its head, and its body by Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = line.recv(65536)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for field in head.split(b"\r\n")[1:]:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(body=b"{}", *, status="200 OK", headers=()):
    """Bytes of a whole reply."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def says(text, *, stay=False):
    """A script that sends these bytes, and keeps the connection if told to."""

    def script(line, _):
        line.sendall(text)
        return stay

    return script


def resets(line, _):
    """Drop the connection with a reset."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def resets_after(text):
    """A script that sends these bytes and then resets."""

    def script(line, request):
        line.sendall(text)
        resets(line, request)

    return script


def stays_silent(line, _):
    """Read on until the caller goes."""
    while line.recv(65536):
        pass


def drips(text, gap=0.05):
    """A script that sends a byte at a time for as long as the caller listens."""

    def script(line, _):
        line.settimeout(gap)
        for byte in text:
            line.sendall(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                if not line.recv(1):
                    return

    return script


def certificate(folder):
    """Make a self-signed certificate for 127.0.0.1; give (server's TLS context, its file)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "tls.pem"
    as_pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(made.public_bytes(as_pem) + key.private_bytes(as_pem, *plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file
