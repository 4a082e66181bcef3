import os
from pathlib import Path

import pytest

from aeedge_runtime.inference import processors
from aeedge_runtime.inference.processors import default_threads

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs sched_getaffinity")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores without hyper-threads, whose control groups are files in a folder."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(1000, 1008)))  # none has a list of siblings
    monkeypatch.setattr(processors, "_OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(processors, "_MOUNT", tmp_path / "mount")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_control_groups_all_cores_count(machine) -> None:
    assert default_threads() == 8
    write(machine / "cgroup", "0::/\n")
    write(machine / "mount/cpu.max", "max 100000\n")
    assert default_threads() == 8


@pytest.mark.parametrize("quota", ["300000 100000", "250000 100000"])
@pytest.mark.parametrize("folder", ["", "system.slice", "system.slice/app.service"])
@pytest.mark.parametrize("root", ["mount", "mount/unified"])
def test_the_quota_of_a_group_or_of_one_above_it_counts(machine, quota: str, folder: str, root: str) -> None:
    write(machine / "cgroup", "1:name=systemd:/other\n0::/system.slice/app.service\n")
    write(machine / root / "system.slice/app.service/cpu.max", "max 100000\n")
    write(machine / root / folder / "cpu.max", quota + "\n")
    assert default_threads() == 3


def test_the_smallest_quota_counts(machine) -> None:
    write(machine / "cgroup", "0::/a/b\n")
    write(machine / "mount/a/cpu.max", "200000 100000")
    write(machine / "mount/a/b/cpu.max", "400000 100000")
    assert default_threads() == 2


@pytest.mark.parametrize("folder", ["docker/abc", "docker", ""])
@pytest.mark.parametrize("root", ["cpu", "cpu,cpuacct"])
def test_quotas_of_version_1_count(machine, folder: str, root: str) -> None:
    write(machine / "cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n")
    write(machine / "mount" / root / "docker/abc/cpu.cfs_quota_us", "-1\n")
    write(machine / "mount" / root / "docker/abc/cpu.cfs_period_us", "100000\n")
    write(machine / "mount" / root / folder / "cpu.cfs_quota_us", "150000\n")
    write(machine / "mount" / root / folder / "cpu.cfs_period_us", "100000\n")
    assert default_threads() == 2


def test_a_container_that_sees_the_path_of_its_host_has_the_quota_of_its_mount(machine) -> None:
    write(machine / "cgroup", "0::/../../kubepods/pod1\n")
    write(machine / "mount/cpu.max", "100000 100000")
    assert default_threads() == 1


@pytest.mark.parametrize("text", ["", "max", "0 0", "100 0", "x y"])
def test_files_that_say_nothing_limit_nothing(machine, text: str) -> None:
    write(machine / "cgroup", "0::/\n")
    write(machine / "mount/cpu.max", text)
    assert default_threads() == 8


def test_the_cores_of_this_process_count(monkeypatch) -> None:
    assert 1 <= default_threads() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert default_threads() == 1
