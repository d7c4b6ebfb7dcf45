"""Answers every request with `{}` at once: what a client can do at best over HTTP. `null_server.py PORT`."""

from __future__ import annotations

import asyncio
import sys

import httptools
import uvloop

RUN = (
    b'{"run":{"info":{"run_id":"%s","run_uuid":"%s","experiment_id":"1","status":"RUNNING","start_time":1,"lifecycle_stage":'
    b'"active","artifact_uri":"mlflow-artifacts:/1/x"},"data":{}},"experiment_id":"1"}' % (b"f" * 32, b"f" * 32)
)


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


EMPTY, MADE = answer(b"{}"), answer(RUN)


class Null(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.made = False

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.made = url.endswith((b"/create", b"/runs/get"))

    def on_message_complete(self) -> None:
        self.transport.write(MADE if self.made else EMPTY)  # type: ignore[attr-defined]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Null, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(main())
