"""How TensorFlow may use the machine: threads and GPU memory."""

from __future__ import annotations

from tensorflow.core.protobuf import config_pb2

from fovea.serving.server.cpus import usable_cpus
from fovea.serving.server.flag_table import Flags
from fovea.serving.server.text_proto import read_text_proto


def session_config(flags: Flags) -> config_pb2.ConfigProto:
    """Return the configuration of every model's session for a command line.

    A number of threads comes from its flag, else from the file. The default suits many
    concurrent requests: each runs in its own thread (-1), and an operation uses a
    quarter of the CPUs, since to split a small one costs more than it gains. GPU memory
    is allocated as it is needed, unless the flag reserves a share.

    Args:
        flags: The command line.

    Raises:
        ServingError: The file cannot be read.
    """
    config = config_pb2.ConfigProto()
    if flags.tensorflow_session_config_file:
        read_text_proto(flags.tensorflow_session_config_file, config)
    else:
        # Threads that spin while they wait take CPUs from those that work.
        config.experimental.disable_thread_spinning = True
    both = flags.tensorflow_session_parallelism
    config.intra_op_parallelism_threads = (
        flags.tensorflow_intra_op_parallelism
        or both
        or config.intra_op_parallelism_threads
        or max(1, usable_cpus() // 4)
    )
    config.inter_op_parallelism_threads = (
        flags.tensorflow_inter_op_parallelism
        or both
        or config.inter_op_parallelism_threads
        or -1
    )
    if flags.per_process_gpu_memory_fraction > 0:
        share = flags.per_process_gpu_memory_fraction
        config.gpu_options.per_process_gpu_memory_fraction = share
    elif not config.HasField("gpu_options"):
        config.gpu_options.allow_growth = True
    return config
