"""What the tests of the IMDS client share: time that passes only when somebody waits, and a server that misbehaves."""

import socket
import threading
import time


class Waits:
    """A clock of its own, for clients that take clock and sleep as parameters."""

    def __init__(self):
        self.now = 1000.0
        self._lock = threading.Lock()

    def clock(self):
        return self.now

    def sleep(self, seconds):
        with self._lock:
            self.now += seconds


class OddServer:
    """Says the same pieces of bytes to each request, with a pause between two, for what no IMDS would say."""

    def __init__(self, *pieces: bytes, pause: float = 0.0):
        self._pieces, self._pause = pieces, pause
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[bytes] = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    continue  # the client had enough

    def _answer(self, connection):
        self.requests.append(connection.recv(65536))
        for piece in self._pieces:
            connection.sendall(piece)
            time.sleep(self._pause)
