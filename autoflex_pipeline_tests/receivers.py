"""What takes alerts on loopback: a webhook that remembers, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROUTE = '[[alerts]]\nname = "team"\nto = "webhook"\nquiet_minutes = 0\n[alerts.webhook]\nurl_env = "HOOK_URL"\n'
"""To be added to a configuration, with the receiver's address in HOOK_URL."""


@dataclass
class Receiver:
    """``requests`` are path, headers and body of each; ``answers`` are statuses to give, the last one for good."""

    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that came, also those that were answered with an error."""
        return [json.loads(body)["alert"] for _, _, body in self.requests]

    @property
    def texts(self) -> list[str]:
        return [json.loads(body)["text"] for _, _, body in self.requests]

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [(alert["change"], alert["kind"]) for alert in self.alerts]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver, for the time of the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, dict(self.headers), body))
            status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
