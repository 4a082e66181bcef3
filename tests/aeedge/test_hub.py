"""Push to and load from a server that speaks the Hub's protocol, with the real huggingface_hub."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aeedge.hub import model_card
from aeedge_runtime import Bundle

pytest.importorskip("huggingface_hub")

HASH = "0" * 64


class Hub(BaseHTTPRequestHandler):
    """One repository per name; a commit's id is the hash of its files."""

    repositories: dict[str, dict[str, dict[str, bytes]]]
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted.get('organization') or 'owner'}/{wanted['name']}"
            self.repositories.setdefault(name, {"": {}})
            self.answer({"url": f"http://{self.headers['Host']}/{name}", "id": name, "name": name})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif found := re.fullmatch(r"/api/models/(.+?)/preupload/.+", self.path):
            files = [{"path": file["path"], "uploadMode": "regular"} for file in json.loads(body)["files"]]
            self.answer({"files": [{**file, "shouldIgnore": False, "oid": None} for file in files]})
        elif found := re.fullmatch(r"/api/models/(.+?)/commit/.+", self.path):
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            commits = self.repositories[found[1]]
            tree = list(commits.values())[-1] | files
            commit = hashlib.sha1(repr(sorted(tree.items())).encode()).hexdigest()
            commits[commit] = tree
            self.answer(
                {
                    "success": True,
                    "commitOid": commit,
                    "commitUrl": f"http://{self.headers['Host']}/{found[1]}/commit/{commit}",
                }
            )
        else:
            self.answer({"error": self.path}, 404)

    def do_GET(self):
        if found := re.fullmatch(r"/api/models/(.+?)/(?:revision|tree)/([^/?]+).*", self.path):
            commit, files = self.find(found[1], found[2])
            if "/tree/" in self.path:
                tree = [{"type": "file", "path": name, "size": len(files[name]), "oid": commit} for name in files or ()]
                self.answer(tree, 200 if commit else 404)
                return
            siblings = [{"rfilename": name} for name in files or ()]
            self.answer({"id": found[1], "sha": commit, "siblings": siblings}, 200 if commit else 404)
        elif found := re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", self.path):
            commit, files = self.find(found[1], found[2])
            data = (files or {}).get(found[3])
            code = "RepoNotFound" if commit is None else "EntryNotFound"
            headers = {"X-Repo-Commit": commit or "", "ETag": f'"{hashlib.sha1(data or b"").hexdigest()}"'}
            self.answer(data, 200, headers) if data is not None else self.answer({}, 404, {"X-Error-Code": code})
        else:
            self.answer({"error": self.path}, 404)

    do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

    def find(self, repository, revision):
        commits = self.repositories.get(repository, {})
        commit = list(commits)[-1] if commits and revision == "main" else revision
        return (commit, commits[commit]) if commit in commits else (None, {})

    def answer(self, content, status=200, headers=()):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path):
    """Runs `aeedge` against an empty Hub."""
    handler = type("EmptyHub", (Hub,), {"repositories": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"

        def run(*words, **variables):
            environment = {
                **os.environ,
                "HF_ENDPOINT": address,
                "HF_HOME": str(tmp_path / "cache"),
                "HF_TOKEN": "hf_test",
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                **variables,
            }
            words = [sys.executable, "-m", "aeedge", *map(str, words)]
            return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)

        run.repositories = handler.repositories
        yield run
        server.shutdown()


@pytest.mark.slow
def test_a_bundle_goes_to_the_hub_and_comes_back(hub, conv):
    done = hub("push", conv, "hf://owner/tiny", "--license", "apache-2.0")
    assert done.returncode == 0, done.stderr
    pinned = done.stdout.split()[-1]
    bundle = Bundle.load(conv)
    assert re.fullmatch(rf"hf://owner/tiny@[0-9a-f]{{40}}#{bundle.hash}", pinned)
    files = list(hub.repositories["owner/tiny"].values())[-1]
    assert files.keys() == {"README.md", "manifest.json", *bundle.manifest.files}
    assert "license: apache-2.0" in files["README.md"].decode()

    done = hub("verify", pinned, "--json")
    assert done.returncode == 0, done.stderr
    assert hub("info", "hf://owner/tiny").returncode == 0
    assert hub("info", f"hf://owner/tiny#{HASH}").returncode == 3
    offline = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    for url in (pinned, "hf://owner/tiny"):
        assert hub("info", url, **offline).returncode == 0
    assert hub("info", "hf://owner/tiny@v2", **offline).returncode == 4
    assert hub("info", "hf://owner/none").returncode == 4


@pytest.mark.slow
def test_a_card_that_exists_is_kept(hub, conv):
    hub.repositories["owner/tiny"] = {"1": {"README.md": b"mine"}}
    assert hub("push", conv, "hf://owner/tiny").returncode == 0
    assert list(hub.repositories["owner/tiny"].values())[-1]["README.md"] == b"mine"
    assert hub("push", conv, f"hf://owner/tiny#{HASH}").returncode == 2
    done = hub("push", conv, "hf://owner/tiny", HF_ENDPOINT="http://127.0.0.1:9")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_the_card_says_how_to_load_what_it_describes(conv):
    bundle = Bundle.load(conv)
    card = model_card(bundle, "owner/tiny", None)
    assert f'Codec.load("hf://owner/tiny#{bundle.hash}")' in card
    assert bundle.manifest.stream_id in card
    assert "license" not in card
