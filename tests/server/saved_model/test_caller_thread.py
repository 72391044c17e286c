"""Which runs take place in the thread of their request."""

import pytest

from fovea.serving.server.saved_model.caller_thread import CallerThreadPolicy
from fovea.serving.server.saved_model.files import choose_meta_graph, read_saved_model
from fovea.serving.server.saved_model.session_runner import Runner


@pytest.fixture(scope="module")
def meta_graph(toys):
    return choose_meta_graph(read_saved_model(toys[1]), ["serve"])


def outputs(meta_graph, key):
    return [info.name for info in meta_graph.signature_def[key].outputs.values()]


def test_only_a_signature_with_a_loop_is_excluded(meta_graph):
    here = CallerThreadPolicy(meta_graph)
    assert not here.allows(outputs(meta_graph, "slow"), None)
    for key in ("serving_default", "both", "upper"):
        assert here.allows(outputs(meta_graph, key), None)


def test_a_run_stays_only_if_it_is_short_compared_with_the_deadline(meta_graph):
    here = CallerThreadPolicy(meta_graph)
    fetches = outputs(meta_graph, "serving_default")
    assert not here.allows(fetches, 1000.0)  # no run has been measured yet
    here.record(1.0)
    assert here.allows(fetches, 11.0)
    assert not here.allows(fetches, 9.0)
    for _ in range(50):
        here.record(0.001)
    assert here.allows(fetches, 0.1)
    here.record(1.0)
    assert not here.allows(fetches, 0.1)


def test_a_run_in_its_caller_s_thread_ends_at_its_deadline_when_it_loops(toys, kit):
    config = kit.tf.compat.v1.ConfigProto(inter_op_parallelism_threads=-1)
    runner = Runner(toys[1], config=config)
    try:
        for timeout in (None, 100.0, 100.0):
            one = kit.np.array([1], kit.np.float32)
            feeds = {runner.signatures["serving_default"].inputs["x"].name: one}
            fetches = list(
                runner.signatures.tensor_names("serving_default").outputs.values()
            )
            assert runner.run(feeds, fetches, timeout)[0].tolist() == [1.5]
        slow = runner.signatures.tensor_names("slow")
        turns = {slow.inputs["turns"]: kit.np.int32(2**30)}
        with pytest.raises(Exception, match="Timed out waiting for notification"):
            runner.run(turns, list(slow.outputs.values()), 0.05)
    finally:
        runner.close()
