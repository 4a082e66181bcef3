import shutil


def test_verify_of_a_damaged_bundle_is_error_3(aeedge, conv, tmp_path):
    broken = shutil.copytree(conv, tmp_path / "broken")
    data = bytearray((broken / "decoder.onnx").read_bytes())
    data[100] ^= 1
    (broken / "decoder.onnx").write_bytes(data)
    assert aeedge("verify", broken).code == 3
