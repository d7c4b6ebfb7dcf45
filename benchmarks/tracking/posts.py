"""Plain POSTs of log-metric over kept connections, each answered only when it is durable, without the stock client."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit


async def _one(host: str, port: int, run_id: str, token: str, until: float, counts: list[int], place: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    step = 0
    bearer = f"authorization: Bearer {token}\r\n" if token else ""
    while time.perf_counter() < until:
        body = f'{{"run_id":"{run_id}","key":"c{place}","value":{step / 3},"timestamp":{1_600_000_000_000 + step},"step":{step}}}'
        head = f"POST /api/2.0/mlflow/runs/log-metric HTTP/1.1\r\nhost: {host}:{port}\r\n{bearer}content-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer[:15]:
            raise RuntimeError(answer.decode())
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        step += 1
        counts[place] += 1
    writer.close()


def per_second(url: str, run_id: str, token: str, connections: int, seconds: float) -> float:
    """Requests a second over so many connections."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    counts = [0] * connections

    async def all_of_them() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(_one(host, port, run_id, token, until, counts, place) for place in range(connections)))

    began = time.perf_counter()
    asyncio.run(all_of_them())
    return sum(counts) / (time.perf_counter() - began)
