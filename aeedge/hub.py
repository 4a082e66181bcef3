"""Publishes a bundle on the Hugging Face Hub, with a model card."""

from __future__ import annotations

from typing import Any

from aeedge.figures import count, size
from aeedge_runtime import AeedgeError, ArgumentError, Bundle
from aeedge_runtime.bundle.manifest import MANIFEST
from aeedge_runtime.hub import CARD, HubBundle


def push_bundle(bundle: Bundle, url: str, *, private: bool = False, license_name: str | None = None) -> str:
    """Upload a bundle in one commit; the repository is made if it does not exist, and a card that it has is kept.

    Args:
        bundle: what to upload; each file is checked again.
        url: `hf://OWNER/NAME`, with `@BRANCH` for an existing branch other than the main one.
        private: make the repository private if it is new.
        license_name: identifier of the license, for the card.

    Returns:
        The URL of this very bundle: with the commit and the hash of the manifest.

    Raises:
        ArgumentError: the URL pins a hash, or is not that of a bundle on the Hub.
        AeedgeError: the Hub refuses it or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    where = HubBundle.parse(url)
    if where.hash is not None:
        raise ArgumentError(f"{url}: a hash cannot be pushed to; leave out what follows #")
    api = HfApi()
    files = {MANIFEST: bundle.manifest_bytes} | {name: bundle.read(name) for name in bundle.manifest.files}
    try:
        api.create_repo(where.repository, private=private, exist_ok=True)
        if not api.file_exists(where.repository, CARD, revision=where.revision):
            files[CARD] = model_card(bundle, where.repository, license_name).encode()
        commit = api.create_commit(
            where.repository,
            [CommitOperationAdd(path_in_repo=name, path_or_fileobj=data) for name, data in files.items()],
            commit_message=f"Add bundle {bundle.manifest.name}, stream id {bundle.manifest.stream_id}",
            revision=where.revision,
        )
    except Exception as error:  # no access, no connection: each version of the library has its own
        reason = " ".join(str(error).split())[:300]
        raise AeedgeError(
            f"{url}: not pushed ({type(error).__name__}: {reason}); check HF_TOKEN and the name"
        ) from error
    return f"hf://{where.repository}@{commit.oid}#{bundle.hash}"


def model_card(bundle: Bundle, repository: str, license_name: str | None) -> str:
    """Return the README of a repository: what the Hub reads, how to use the bundle, and its facts."""
    manifest = bundle.manifest
    image = manifest.image
    color = "gray" if image.channels == 1 else "RGB"
    facts: dict[str, Any] = {
        "stream id": f"`{manifest.stream_id}`",
        "sha256 of the manifest": f"`{bundle.hash}`",
        "family, preset": f"{manifest.family}, {manifest.preset}",
        "images": f"{color}, a latent position per {image.stride[1]}x{image.stride[0]} pixels",
        "halves": ", ".join(f"{half} ({manifest.precision[half]})" for half in manifest.halves),
        "files": f"{count(len(manifest.files), 'file')}, {size(sum(facts.bytes for facts in manifest.files.values()))}",
        "made by": manifest.created_by,
    }
    facts |= {f"training: {key}": value for key, value in manifest.training.items() if isinstance(value, str | int)}
    license_line = f"license: {license_name}\n" if license_name else ""
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return f"""---
library_name: aeedge
pipeline_tag: image-to-image
{license_line}tags: [image-compression, onnx, autoencoder]
---
# {manifest.name}

An image codec: two ONNX graphs and integer coding tables for aeedge, which runs
them without PyTorch.

```python
from aeedge_runtime import Codec

codec = Codec.load("hf://{repository}#{bundle.hash}")
stream = codec.compress("photo.jpg", quality=60)
```

The part after `#` is optional: with it, nothing but this bundle is loaded.

| | |
|---|---|
{rows}
"""
