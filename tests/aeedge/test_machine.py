import json

from aeedge.machine import environment


def test_the_environment_names_command_and_machine_and_is_json():
    found = json.loads(json.dumps(environment(["aeedge", "bench"])))
    assert found["command"] == ["aeedge", "bench"]
    assert found["cores"] >= found["cores_available"] >= 1
    assert found["cpu"]
