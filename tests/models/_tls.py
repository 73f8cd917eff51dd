"""Real TLS and real proxies on loopback: an authority that lives as long as a test, a server behind it, and a proxy."""

import asyncio
import base64
import contextlib
import datetime
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NOW = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_LATER = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """Signs certificates. Its own, and what it has signed, are files of a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._built(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def signed(self, name: str, *, over: bool = False, password: bytes | None = None) -> Path:
        """Return a file with a certificate for a host or person, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._built(subject, key, over=over).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), False
        )
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        file = self._folder / f"{name}{'-over' if over else ''}{'-locked' if password else ''}.pem"
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
        file.write_bytes(
            made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form)
        )
        return file

    def _built(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, over: bool = False
    ) -> x509.CertificateBuilder:
        end = _NOW + datetime.timedelta(days=1) if over else _LATER
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW)
            .not_valid_after(end)
        )


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.CancelledError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        writer.close()


async def _joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_copied(reader, back), _copied(there, writer))


@contextlib.asynccontextmanager
async def tls(certificate: Path, port: int, clients: Path | None = None) -> AsyncGenerator[int]:
    """Serve TLS in front of a port; yield the port of it. `clients` signs the certificates that clients must show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    server = await asyncio.start_server(lambda r, w: _joined(r, w, port), "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Connecting:
    """A proxy that speaks CONNECT, and knows where some names are.

    Attributes:
        asked: the first line of every request.
        heads: the headers of every request, as they came.
        port: where it listens.
    """

    def __init__(self, known: dict[str, int], login: str = "", status: str = "") -> None:
        self._known, self._login, self._status = known, login, status
        self.asked, self.heads, self.port = list[str](), list[str](), 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line = head.partition("\r\n")[0]
        self.asked.append(line)
        self.heads.append(head)
        wanted = f"Proxy-Authorization: Basic {base64.b64encode(self._login.encode()).decode()}\r\n"
        if self._login and wanted not in head:
            await self._end(writer, "407 Proxy Authentication Required")
        elif self._status:
            await self._end(writer, self._status)
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _joined(reader, writer, self._known[line.split()[1]])

    async def _end(self, writer: asyncio.StreamWriter, status: str) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def proxying(proxy: Connecting, certificate: Path | None = None) -> AsyncGenerator[Connecting]:
    """Let a proxy listen, behind TLS if it has a certificate."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
