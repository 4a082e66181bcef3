#!/usr/bin/env bash
# Makes a folder with Python, NumPy, Pillow and onnxruntime for 64-bit Arm, and an emulator for this machine, without
# installing anything: symbols_everywhere.py runs the codec there. Debian with apt; 400 MB; no rights needed.
#
# benchmarks/trust/aarch64_root.sh ROOT [ONNXRUNTIME_VERSION] [NUMPY_VERSION]
set -euo pipefail
root=$(mkdir -p "$1" && cd "$1" && pwd)
runtime=${2:-1.19.2} # later ones crash at import under the emulator of Debian 12 (qemu 7.2)
numpy=${3:-2.4.6}

apt_root=$root/apt
mkdir -p "$apt_root"/{lists/partial,cache/archives/partial,debs} "$root/python"
touch "$apt_root/status"
options=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State::lists=$apt_root/lists"
    -o "Dir::State::status=$apt_root/status" -o "Dir::Cache=$apt_root/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=root)

if [ ! -e "$root/usr/bin/python3.11" ]; then
    apt-get "${options[@]}" -qq update
    packages=(python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libstdc++6 zlib1g libexpat1
        libffi8 libssl3 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libcrypt1)
    (cd "$apt_root/debs" && apt-get "${options[@]}" -qq download "${packages[@]}")
    for package in "$apt_root"/debs/*_arm64.deb; do dpkg -x "$package" "$root"; done
fi
if [ ! -e "$root/qemu-aarch64-static" ]; then
    (cd "$apt_root/debs" && apt-get -qq download qemu-user-static && dpkg -x qemu-user-static_*.deb "$apt_root/qemu")
    cp "$apt_root/qemu/usr/bin/qemu-aarch64-static" "$root/"
fi
"${PYTHON:-python3}" -m pip download -q --no-deps --only-binary :all: --python-version 3.11 --implementation cp \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
    --platform manylinux_2_17_aarch64 -d "$root/wheels" \
    "onnxruntime==$runtime" "numpy==$numpy" pillow
"${PYTHON:-python3}" - "$root" <<'PYTHON'
import sys, zipfile
from pathlib import Path

root = Path(sys.argv[1])
for wheel in sorted((root / "wheels").glob("*.whl")):
    zipfile.ZipFile(wheel).extractall(root / "python")
PYTHON
echo "$root"
