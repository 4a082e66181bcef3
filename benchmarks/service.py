"""`aeedge serve` under load, beside a service that encodes WebP: answers, times and memory.

python benchmarks/service.py --images FOLDER [--requests 5000] [--clients 50]

Every answer is checked: a stream must be the bytes that the codec gives in this process, a picture what it decodes to.
Both services run with the same number of threads, one after the other, on images of the folder and their halves.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from record import RESULTS, goal, save

from aeedge.machine import environment
from aeedge_runtime import Codec

WEBP = """
import sys
from io import BytesIO
from concurrent.futures import ThreadPoolExecutor
import asyncio, socket, uvicorn
from fastapi import FastAPI, Request, Response
from PIL import Image
app, threads = FastAPI(), ThreadPoolExecutor(int(sys.argv[1]))
def encode(body):
    file = BytesIO()
    Image.open(BytesIO(body)).convert("RGB").save(file, "WEBP", quality=80, method=4)
    return file.getvalue()
def decode(body):
    file = BytesIO()
    Image.open(BytesIO(body)).save(file, "PNG", compress_level=4)
    return file.getvalue()
@app.post("/{call}")
async def answer(call: str, request: Request):
    work = encode if call == "compress" else decode
    body = await request.body()
    return Response(await asyncio.get_running_loop().run_in_executor(threads, work, body))
@app.get("/healthz")
async def healthz():
    return {}
listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
print(f"listening at http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listener])
"""


class Service:
    """A process that serves, and its address."""

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline() if self.process.stderr else ""
        self.address = line.split()[-1]

    def resident_mb(self) -> float:
        """Return the resident memory of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        """End the process as a supervisor does."""
        self.process.terminate()
        self.process.wait(60)


def bodies(folder: Path, count: int) -> list[bytes]:
    """Return PNG files of photographs at their size, at half and at a quarter of it."""
    files = sorted(path for path in folder.iterdir() if path.is_file())[:count]
    found = []
    for path in files:
        with Image.open(path) as image:
            for divisor in (1, 2, 4):
                file = BytesIO()
                small = image.convert("RGB").resize((image.width // divisor, image.height // divisor))
                small.save(file, "PNG", compress_level=1)
                found.append(file.getvalue())
    return found


async def load(service: Service, requests: list[tuple[str, bytes, bytes | None]], clients: int) -> dict[str, Any]:
    """Send requests by a number of clients at once; return times, wrong answers and memory on the way."""
    waiting = iter(requests)
    times: list[float] = []
    wrong: list[str] = []
    memory: list[float] = []

    async def client(session: httpx.AsyncClient) -> None:
        for call, body, expected in waiting:
            start = time.perf_counter()
            answer = await session.post(f"/{call}", content=body)
            times.append(time.perf_counter() - start)
            if answer.status_code != 200 or (expected is not None and answer.content != expected):
                wrong.append(f"{call}: {answer.status_code}")
            if len(times) % max(len(requests) // 20, 1) == 0:
                memory.append(service.resident_mb())

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=service.address, timeout=120, limits=limits) as session:
        start = time.perf_counter()
        await asyncio.gather(*(client(session) for _ in range(clients)))
        seconds = time.perf_counter() - start
    ms = 1e3 * np.array(times)
    half = memory[len(memory) // 2 :]
    return {
        "requests": len(times),
        "wrong": wrong[:5],
        "wrong_count": len(wrong),
        "per_second": round(len(times) / seconds, 1),
        "p50_ms": round(float(np.percentile(ms, 50)), 1),
        "p95_ms": round(float(np.percentile(ms, 95)), 1),
        "p99_ms": round(float(np.percentile(ms, 99)), 1),
        "resident_mb": [round(value) for value in memory],
        "growth_second_half": round(half[-1] / half[0] - 1, 3) if half else 0.0,
    }


def main() -> None:
    """Run both services and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12, help="photographs of the folder to use")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "service.json")
    chosen = parser.parse_args()
    pictures = bodies(chosen.images, chosen.count)
    codec = Codec.load(threads=1)
    streams = [codec.compress(body) for body in pictures]
    draw = random.Random(0)
    calls = [(draw.random() < 0.5, draw.randrange(len(pictures))) for _ in range(chosen.requests)]
    ours: list[tuple[str, bytes, bytes | None]] = [
        ("compress", pictures[index], streams[index]) if write else ("decompress", streams[index], None)
        for write, index in calls
    ]
    webps = []
    for body in pictures:
        file = BytesIO()
        with Image.open(BytesIO(body)) as image:
            image.save(file, "WEBP", quality=80, method=4)
        webps.append(file.getvalue())
    theirs: list[tuple[str, bytes, bytes | None]] = [
        ("compress", pictures[index], None) if write else ("decompress", webps[index], None) for write, index in calls
    ]
    options = ["--jobs", str(chosen.jobs), "--queue", str(chosen.clients)]
    commands = {
        "aeedge": [sys.executable, "-m", "aeedge", "serve", "--port", "0", "--timeout", "120", *options],
        "webp": [sys.executable, "-c", WEBP, str(chosen.jobs)],
    }
    report: dict[str, Any] = {}
    for name, requests in (("aeedge", ours), ("webp", theirs)):
        service = Service(commands[name])
        try:
            report[name] = asyncio.run(load(service, requests, chosen.clients))
        finally:
            service.stop()
        print(name, report[name])
    goals = [
        goal("wrong answers", report["aeedge"]["wrong_count"], 0, "", at_most=True),
        goal("growth of memory over the second half", report["aeedge"]["growth_second_half"], 0.05, "", at_most=True),
    ]
    save(
        chosen.out,
        {"environment": environment(["benchmarks/service.py"]), **report, "goals": goals},
    )


if __name__ == "__main__":
    main()
