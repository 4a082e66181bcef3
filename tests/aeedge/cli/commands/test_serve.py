import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_serves_until_it_is_stopped(conv, number, code):
    words = [sys.executable, "-m", "aeedge", "serve", "-m", str(conv), "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        address = re.search(r"http://\S+", server.stderr.readline()).group()
        with urllib.request.urlopen(f"{address}/healthz", timeout=30) as answer:
            assert answer.status == 200
        server.send_signal(number)
        assert server.wait(60) == code


def test_a_port_in_use_is_named(aeedge, conv):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = aeedge("serve", "-m", conv, "--port", taken.getsockname()[1])
    assert done.code == 1
    assert "--port" in done.errors[0]
