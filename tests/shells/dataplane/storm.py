"""A client with nothing in common with Loopline: raw sockets, no retries. Prints one JSON document.

usage: storm.py PORT TOKEN PATH SECONDS CONNECTIONS BODY-FILE; even connections are kept, odd ones opened anew for each
request. SIGTERM ends it before its time: it prints what it has.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time


def request_bytes(path: str, token: str, body: bytes, close: bool) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", "Content-Type: application/json",
        f"Content-Length: {len(body)}", *(["Connection: close"] if close else []), "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + body


def receive(connection: socket.socket) -> tuple[int, bytes, bool]:
    held = b""
    while b"\r\n\r\n" not in held:
        got = connection.recv(65536)
        if not got:
            raise ConnectionError(f"closed after {len(held)} bytes")
        held += got
    head, _, body = held.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields[b"content-length"])
    while len(body) < length:
        got = connection.recv(65536)
        if not got:
            raise ConnectionError("closed within a body")
        body += got
    return int(head.split(b" ")[1]), body, fields.get(b"connection") == b"close"


def one(port: int, content: bytes, fresh: bool, over: threading.Event, told: list) -> None:
    connection = None
    while not over.is_set():
        start = time.perf_counter()
        try:
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(content)
            status, body, closing = receive(connection)
        except OSError as error:
            told.append((0, repr(error), 0.0))
            connection = None
            continue
        told.append((status, body, time.perf_counter() - start))
        if fresh or closing:
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


def main() -> None:
    port, token, path, seconds, connections = (
        int(sys.argv[1]),
        sys.argv[2],
        sys.argv[3],
        float(sys.argv[4]),
        int(sys.argv[5]),
    )
    with open(sys.argv[6], "rb") as file:
        body = file.read()
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    told: list = [[] for _ in range(connections)]
    threads = [
        threading.Thread(
            target=one, args=(port, request_bytes(path, token, body, n % 2 == 1), n % 2 == 1, over, told[n])
        )
        for n in range(connections)
    ]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    over.wait(seconds)
    over.set()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - start
    everything = [each for part in told for each in part]
    answers = [json.loads(body) for status, body, _ in everything if status == 200]
    times = sorted(latency for status, _, latency in everything if status == 200)
    print(
        json.dumps(
            {
                "sent": len(everything),
                "bad": [[status, str(body)[:200]] for status, body, _ in everything if status != 200][:5],
                "not_200": sum(status != 200 for status, _, _ in everything),
                "ids": [answer["ids"][0] for answer in answers],
                "revisions": [answer["revision"] for answer in answers],
                "predictions": [answer["predictions"][0] for answer in answers],
                "per_second": len(everything) / spent,
                "p50_ms": times[len(times) // 2] * 1000,
                "p99_ms": times[len(times) * 99 // 100] * 1000,
            }
        )
    )


if __name__ == "__main__":
    main()
