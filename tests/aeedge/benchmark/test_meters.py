import pytest

from aeedge.benchmark.meters import EnergyMeter, peak_bytes, resident_bytes


def test_the_energy_meter_adds_packages_and_mends_a_wrap(tmp_path):
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("900000\n")
        (tmp_path / name / "max_energy_range_uj").write_text("999999\n")
    meter = EnergyMeter(tmp_path)
    assert meter.available
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("100000\n")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("950000\n")
    assert meter.joules() == pytest.approx(0.25)
    assert meter.joules() == 0
    assert not EnergyMeter(tmp_path / "absent").available


def test_memory_is_measured_where_the_system_tells():
    assert (peak_bytes() or 1) > 0
    assert resident_bytes() is None or resident_bytes() > 10**6
