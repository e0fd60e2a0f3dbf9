"""A model that is traced for a TPU knows it."""

import threading

import tensorflow as tf

from vatt.tracing import is_for_tpu, traced_for_tpu


def test_it_holds_while_it_is_open_and_in_no_other_thread():
    seen = []
    with traced_for_tpu():
        with traced_for_tpu():
            pass
        seen.append(is_for_tpu())
        thread = threading.Thread(target=lambda: seen.append(is_for_tpu()))
        thread.start()
        thread.join()
    assert [*seen, is_for_tpu()] == [True, False, False]


def test_a_strategy_of_tpus_needs_no_more(monkeypatch):
    assert not is_for_tpu()
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: object.__new__(tf.distribute.TPUStrategy))
    assert is_for_tpu()
