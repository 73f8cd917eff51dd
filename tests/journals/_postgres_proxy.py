"""A network that fails where a test wants it to: between the journal and the server, at a message of one's choice."""

import contextlib
import socket
import threading
from queue import Queue
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Mode = Literal["before", "after", "late"]


class Proxy:
    """Forwards connections to a server, and cuts one of them once.

    Attributes:
        url: of the database behind it.
        sent: messages from the journal to the server since `arm`.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
        self.sent = 0
        self._at, self._mode, self._needle = 0, "before", b""
        self._held: tuple[socket.socket, bytes] | None = None
        self._late: Queue[bytes] = Queue()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, at: int, mode: Mode = "before", needle: bytes = b"") -> None:
        """Cut the connection at a message from now on: its number, from 1; 0 for never.

        Args:
            at: which one.
            mode: `before` the server has it; `after` the server has answered it; `late`: it stays on its way, and
                reaches the server when `release` is called.
            needle: only messages with this text count.
        """
        self.sent, self._at, self._mode, self._needle = 0, at, mode, needle

    def release(self) -> bytes:
        """Let the message that is late arrive; return the answer to it."""
        assert self._held is not None
        server, message = self._held
        server.sendall(message)
        return self._late.get(timeout=60)

    @property
    def holds(self) -> bool:
        """Whether a message is late."""
        return self._held is not None

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._open += (client, server)
            cut = threading.Event()
            threading.Thread(target=self._forth, args=(client, server, cut), daemon=True).start()
            threading.Thread(target=self._back, args=(client, server, cut), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while message := client.recv(1 << 20):
                if self._needle in message:
                    self.sent += 1
                    if self.sent == self._at:
                        self._cut(client, server, cut, message)
                        return
                server.sendall(message)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _cut(self, client: socket.socket, server: socket.socket, cut: threading.Event, message: bytes) -> None:
        cut.set()
        if self._mode == "after":
            server.sendall(message)
        elif self._mode == "late":
            self._held = (server, message)
        else:
            server.shutdown(socket.SHUT_RDWR)
        if self._mode != "after":
            client.shutdown(socket.SHUT_RDWR)

    def _back(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(1 << 20):
                if cut.is_set():  # it was done, and nobody learns of it
                    self._late.put(answer)
                    server.shutdown(socket.SHUT_RDWR)
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(answer)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
