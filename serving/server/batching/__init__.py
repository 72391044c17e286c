"""Batching: requests that arrive at the same time run together.

Parameters, queues, limits and errors are TensorFlow Serving's; the threads are our own.
TensorFlow's scheduler (`tf.nondifferentiable_batch_function`) blocks a thread for each
request that waits, fails a whole batch for one request, has no deadlines, and words its
errors differently. Nor is it faster (`benchmarks/batching.py`: LeNet-5, one image per
request, 2 cores, `batch_timeout_micros` 0):

| | ours | TensorFlow's | not batched |
|---|---|---|---|
| 32 blocking threads, requests/s | 10,381 | 9,890 | 5,166 |
| 1 blocking thread, p50 | 0.41 ms | 0.51 ms | 0.39 ms |
| 32 futures of one thread, requests/s | 15,510 | – | – |

A `submit` takes 8 microseconds.
"""
