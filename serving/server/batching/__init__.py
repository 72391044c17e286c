"""Batching: requests that arrive at the same time run together.

Parameters, queues, limits and errors are TF Serving's; the threads are our own.
TensorFlow's scheduler (``tf.nondifferentiable_batch_function``) keeps a thread for each
request that waits, fails a whole batch for one request, knows no deadline, and words
its errors in another way. Nor is it faster (``benchmarks/batching.py``: LeNet-5, one
image a request, 2 cores, ``batch_timeout_micros`` 0):

| | ours | TensorFlow's | not batched |
|---|---|---|---|
| 32 threads that wait, requests/s | 10,381 | 9,890 | 5,166 |
| 1 thread, p50 | 0.41 ms | 0.51 ms | 0.39 ms |
| 32 futures of one thread, requests/s | 15,510 | cannot | cannot |

A ``submit`` takes 8 microseconds.
"""
