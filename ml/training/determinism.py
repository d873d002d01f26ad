"""Makes TensorFlow give the same weights for the same inputs: seeds, deterministic operations, fixed threads."""

from __future__ import annotations

import os
import platform
import sys

from ml.contract import JsonObject
from ml.errors import ConfigInvalid

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"  # its kernels differ from Eigen's in the last bits


def make_deterministic(seed: int, threads: int) -> JsonObject:
    """Prepare this process for one training, and return what its weights depend on beside their inputs.

    Call it before anything else uses TensorFlow.

    Args:
        seed: Of Python, NumPy and TensorFlow.
        threads: Of one operation.

    Raises:
        ConfigInvalid: TensorFlow already runs in this process with other settings.
    """
    if "tensorflow" not in sys.modules:
        os.environ[ONEDNN] = "0"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    _fix_threads(threads)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return {
        "seed": seed,
        "threads": threads,
        "onednn": os.environ.get(ONEDNN) != "0",
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "machine": platform.machine(),
    }


def _fix_threads(threads: int) -> None:
    import tensorflow as tf

    wanted = (threads, 1)
    now = (
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.threading.get_inter_op_parallelism_threads(),
    )
    if now == wanted:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(wanted[0])
        tf.config.threading.set_inter_op_parallelism_threads(wanted[1])
    except RuntimeError as error:
        raise ConfigInvalid(
            f"TensorFlow on {threads} threads", f"a process that already runs it on {now[0]}", "Train in a new process."
        ) from error
