import threading

from aeedge_runtime.coding.recent import Recent


def test_the_last_results_are_kept():
    made = []
    recent = Recent(2)

    def get(key):
        return recent.get(key, lambda: made.append(key) or 10 * key)

    assert [get(1), get(2), get(1), get(3), get(1), get(2)] == [10, 20, 10, 30, 10, 20]
    assert made == [1, 2, 3, 2]


def test_nothing_is_kept_by_a_memory_of_none():
    made = []
    recent = Recent(0)
    for _ in range(3):
        recent.get(1, lambda: made.append(1))
    assert len(made) == 3


def test_threads_share_a_memory():
    recent = Recent(3)
    found = []

    def work():
        found.extend(recent.get(key % 5, lambda key=key: key % 5) == key % 5 for key in range(500))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 2000
    assert all(found)
