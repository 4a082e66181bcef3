"""Bundles on the Hugging Face Hub, at `hf://OWNER/NAME[@REVISION][#HASH]`; HASH pins the manifest.

The files are kept in the cache of huggingface_hub, which is imported at first use: `HF_HOME`, `HF_TOKEN`, `HF_ENDPOINT`
and `HF_HUB_OFFLINE` mean what they mean there.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from .bundle.manifest import MANIFEST, Manifest
from .errors import AeedgeError, ArgumentError, BundleError, ModelNotFoundError

_URL = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([^#@]+))?(?:#([0-9a-f]{64}))?")
_OTHER_REPOSITORIES = ("datasets/", "spaces/", "buckets/")

CARD = "README.md"


class HubBundle(NamedTuple):
    """The address of a bundle on the Hub.

    Attributes:
        repository: owner and name.
        revision: branch, tag or commit; None for the main branch.
        hash: hex sha256 that manifest.json must have, or None.
    """

    repository: str
    revision: str | None
    hash: str | None

    @classmethod
    def parse(cls, url: str) -> HubBundle:
        """Take a URL apart.

        Raises:
            ArgumentError: it is not that of a bundle on the Hub.
        """
        found = _URL.fullmatch(url)
        if found is None or not is_hub_bundle(url):
            raise ArgumentError(
                f"{url}: expected hf://OWNER/NAME, then @REVISION and # with the 64 hex digits of the manifest's "
                "sha256 where wanted"
            )
        return cls(*found.groups())


def is_hub_bundle(text: str) -> bool:
    """Return whether a URL names a model repository, not a file in one, nor one of data."""
    path = text.removeprefix("hf://")
    bare = re.split("[@#]", path, maxsplit=1)[0]
    return text.startswith("hf://") and not path.startswith(_OTHER_REPOSITORIES) and bare.count("/") < 2


def fetch_bundle(url: str) -> Path:
    """Download the files of a bundle, or find them in the cache, and return their folder.

    Raises:
        ModelNotFoundError: there is no such repository or revision, or it cannot be reached and is not in the cache.
        BundleError: the manifest is damaged, or not the one that the URL pins.
        AeedgeError: huggingface_hub is not installed.
    """
    where = HubBundle.parse(url)
    try:
        from huggingface_hub import hf_hub_download, snapshot_download
    except ImportError as error:
        raise AeedgeError(
            'huggingface_hub is not installed, but hf:// bundles need it; run: pip install "aeedge[hub]"'
        ) from error
    try:
        path = Path(hf_hub_download(where.repository, MANIFEST, revision=where.revision))
        data = path.read_bytes()
        _check_pin(url, data, where.hash)
        names = [MANIFEST, *Manifest.from_bytes(data).files]
        commit = path.parent.name  # the branch may move between two requests
        return Path(snapshot_download(where.repository, revision=commit, allow_patterns=names))
    except AeedgeError:
        raise
    except Exception as error:  # not found, no access, no connection, offline: each library version has its own
        reason = " ".join(str(error).split())[:300]
        raise ModelNotFoundError(
            f"{url}: cannot be downloaded ({type(error).__name__}: {reason}); check the name, HF_TOKEN and the network"
        ) from error


def _check_pin(url: str, manifest: bytes, pinned: str | None) -> None:
    found = hashlib.sha256(manifest).hexdigest()
    if pinned is not None and found != pinned:
        raise BundleError(f"{url}: its manifest has the sha256 {found}, not the one that is pinned; do not use it")
