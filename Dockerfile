# Three images; docs/guides/deploy.md shows how they are used.
#
#   docker build -t fovea .                              exported/ on tensorflow/serving
#   docker build -t fovea-embedded --target embedded .   exported/ on fovea's own server
#   docker build -t fovea-train --target train .         training on a GPU
#
# --build-arg chooses other bases, or the same ones by digest (2.20.0@sha256:...).
ARG PYTHON_VERSION=3.11-slim-bookworm
ARG TF_SERVING_VERSION=2.20.0
ARG TF_VERSION=2.21.0

FROM docker.io/tensorflow/tensorflow:${TF_VERSION}-gpu AS train
LABEL org.opencontainers.image.title="fovea-train" \
      org.opencontainers.image.description="Train image classifiers on a GPU" \
      org.opencontainers.image.licenses="Apache-2.0"
# The base has TensorFlow. It has no virtual environment, and some have a pip that wants
# one.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
    PYTHONUNBUFFERED=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY fovea fovea
COPY models models
COPY training training
COPY serving serving
RUN python3 -m pip install --no-cache-dir --constraint constraints.txt '.[train]' \
    && rm -rf /src/*
# Mount a directory here; data sets are looked for in data, runs are written where
# --run says. HOME is writable by any user, for --user.
ENV HOME=/tmp \
    FOVEA_DATA_DIR=/workspace/data
WORKDIR /workspace
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["fovea"]
CMD ["--help"]

FROM docker.io/library/python:${PYTHON_VERSION} AS install
WORKDIR /src
RUN python3 -m venv --without-pip /opt/fovea
COPY deploy/docker/tensorflow-cpu tensorflow-cpu
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY fovea fovea
COPY models models
COPY training training
COPY serving serving
# C++ headers and libclang are for building against TensorFlow.
RUN if [ "$(uname -m)" = x86_64 ]; then tensorflow=./tensorflow-cpu; else tensorflow=; fi \
    && python3 -m pip --python /opt/fovea/bin/python install --no-cache-dir \
        --constraint constraints.txt ${tensorflow} '.[serve]' \
    && rm -rf /opt/fovea/lib/python3.*/site-packages/tensorflow/include \
        /opt/fovea/lib/python3.*/site-packages/clang

# What both servers are given: models that anyone can read, and what is served of them.
FROM docker.io/library/python:${PYTHON_VERSION} AS models
COPY deploy/docker/models_config.py /
COPY exported /models
RUN python3 /models_config.py /models && chmod -R go=rX /models

FROM docker.io/library/python:${PYTHON_VERSION} AS embedded
LABEL org.opencontainers.image.title="fovea-embedded" \
      org.opencontainers.image.description="Image classifiers behind TensorFlow Serving's protocol" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=install /opt/fovea /opt/fovea
COPY --chmod=755 deploy/docker/grpc-health /usr/local/bin/
COPY --chmod=644 deploy/docker/*.config /etc/fovea/
COPY --from=models /models /models
# TensorFlow wants a directory for temporary files, though it writes none; /dev/shm can
# be written even in a container that is read-only.
ENV PATH=/opt/fovea/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TMPDIR=/dev/shm \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8500 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["grpc-health", "8500"]
ENTRYPOINT ["fovea", "serve", "--bind=0.0.0.0", "--port=8500", "--rest_api_port=8501", \
    "--model_config_file=/models/models.config", \
    "--model_config_file_poll_wait_seconds=10", \
    "--allow_version_labels_for_unavailable_models=true", \
    "--enable_batching=true", \
    "--batching_parameters_file=/etc/fovea/batching.config", \
    "--monitoring_config_file=/etc/fovea/monitoring.config"]

FROM docker.io/tensorflow/serving:${TF_SERVING_VERSION} AS serving
LABEL org.opencontainers.image.title="fovea" \
      org.opencontainers.image.description="Image classifiers on TensorFlow Serving" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --chmod=755 deploy/docker/grpc-health /usr/local/bin/
COPY --chmod=644 deploy/docker/*.config /etc/fovea/
COPY --from=models /models /models
USER 65532:65532
EXPOSE 8500 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["grpc-health", "8500"]
ENTRYPOINT ["tensorflow_model_server", "--port=8500", "--rest_api_port=8501", \
    "--model_config_file=/models/models.config", \
    "--model_config_file_poll_wait_seconds=10", \
    "--allow_version_labels_for_unavailable_models=true", \
    "--enable_batching=true", \
    "--batching_parameters_file=/etc/fovea/batching.config", \
    "--monitoring_config_file=/etc/fovea/monitoring.config", \
    "--enable_grpc_healthcheck_service=true"]
