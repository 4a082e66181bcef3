"""Another execution provider: onnxruntime-openvino in an environment of its own, against the CPU provider.

Installs it below --scratch (it brings an onnxruntime of its own), then verifies bundles, compresses on either and
decompresses on the other, and tries options that cannot be honoured, which must be refused.

python benchmarks/trust/openvino.py [--scratch FOLDER] [--bundle BUNDLE ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from samples import BUNDLES, NAMES, picture
from trials import finish, parser

RUNTIME = Path(__file__).parents[2] / "runtime"
PACKAGES = ("onnxruntime-openvino", "numpy", "pillow")
DEVICE = "provider:OpenVINO"
QUALITIES = (20, 50, 90)
REFUSED = {"device_type": "NPU", "nonsense": "1"}
"""Options that no machine of this kind honours: hardware that is not there, and a key that does not exist."""

TIMES = 15


def interpreter(scratch: Path) -> Path:
    """Python of the environment, made if need be."""
    folder = scratch / "openvino"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def compare(place: str) -> dict[str, Any]:
    """One bundle: symbols written on either, read on the other; pixels; time of the encoder on both."""
    import numpy as np

    from aeedge_runtime import Codec, verify_bundle

    plain, other = Codec.load(place), Codec.load(place, device=DEVICE, provider_options={"device_type": "CPU"})
    image = picture(320, 480, plain.bundle.manifest.image.channels)
    symbols = wrong = changed = pixels = 0
    for quality in QUALITIES:
        written = [codec.compress(image, quality) for codec in (plain, other)]
        for stream in written:
            ours, theirs = (codec.decompress_symbols(stream) for codec in (plain, other))
            wrong += int(np.count_nonzero(ours != theirs))
            restored = [codec.decompress(stream).astype(int) for codec in (plain, other)]
            pixels = max(pixels, int(np.abs(restored[0] - restored[1]).max()))
        ours, theirs = (plain.decompress_symbols(stream) for stream in written)
        symbols += len(ours)
        changed += int(np.count_nonzero(ours != theirs))
    verification = verify_bundle(place, DEVICE)
    return {
        "providers": dict(verification.providers),
        "verified": verification.passed,
        "verify_said": [fault[:300] for fault in verification.faults],
        "symbols": symbols,
        "symbols_read_otherwise": wrong,
        "symbols_written_otherwise": changed,
        "largest_pixel_difference": pixels,
        "encoder_speed_against_cpu": round(speed(plain, other, image), 3),
        "faults": wrong + (pixels > 1) + (not verification.passed) + (changed > max(1, symbols * 1e-4)),
    }


def speed(plain: Any, other: Any, image: Any) -> float:
    """Median over turns of the CPU provider's time of an encoding by the other's."""
    import time

    import numpy as np

    def seconds(codec: Any) -> float:
        start = time.perf_counter()
        codec.encode(image)
        return time.perf_counter() - start

    return float(np.median([seconds(plain) / seconds(other) for _ in range(TIMES)]))


def refusals() -> dict[str, Any]:
    """Return the outcome of each option that cannot be honored."""
    from aeedge_runtime import Codec, DeviceError

    found: dict[str, Any] = {}
    for key, value in REFUSED.items():
        try:
            Codec.load(BUNDLES / NAMES[1], device=DEVICE, provider_options={key: value})
            found[f"{key}={value}"] = "accepted"
        except DeviceError as error:
            found[f"{key}={value}"] = f"DeviceError: {str(error)[:160]}"
    return {**found, "faults": list(found.values()).count("accepted")}


def inside(places: list[str], out: Path) -> None:
    """Measure, in the environment."""
    import onnxruntime

    bundles = {Path(place).name: compare(place) for place in places}
    facts = {"onnxruntime": onnxruntime.__version__, "bundles": bundles, "refused": refusals()}
    out.write_text(json.dumps(facts))


def main() -> int:
    """Prepare the environment, measure in it, write the figures."""
    options = parser(__doc__, 0)
    options.add_argument("--scratch", type=Path, help="keeps what is installed [a temporary folder]")
    options.add_argument("--bundle", nargs="*", default=["photo", *(str(BUNDLES / name) for name in NAMES)])
    options.add_argument("--inside", type=Path, help="where to write; used by the script itself")
    arguments = options.parse_args()
    if arguments.inside:
        inside(arguments.bundle, arguments.inside)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        python = interpreter((arguments.scratch or Path(temporary)).resolve())
        out = Path(temporary) / "out.json"
        words = [str(python), __file__, "--inside", str(out), "--bundle", *arguments.bundle]
        environment = os.environ | {"PYTHONPATH": str(RUNTIME)}
        subprocess.run(words, env=environment, check=True, timeout=3600)
        facts = json.loads(out.read_bytes())
    return finish("openvino", facts, arguments.out)


if __name__ == "__main__":
    sys.exit(main())
