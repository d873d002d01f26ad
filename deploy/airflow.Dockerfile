# One image for all parts of Airflow and for the stages: Python, the locked libraries of the pipeline, the project.
# The Python base is an argument, as in the runtime base's Dockerfile; `deploy/local-images.sh` builds it without a registry.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy
WORKDIR /build
COPY deploy/uv.txt ./
# The optional secret `ca` brings the certificates of a network that terminates TLS.
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv tools && tools/bin/pip install --no-cache-dir --quiet --require-hashes -r uv.txt
COPY pyproject.toml uv.lock deploy/airflow-postgres.txt ./
RUN tools/bin/uv export --frozen --quiet --extra pipeline --extra serve --no-default-groups --no-emit-project \
    -o requirements.txt
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/root/.cache/uv \
    python3 -m venv --without-pip /opt/venv \
    && tools/bin/uv pip install --quiet --python /opt/venv/bin/python --require-hashes \
       -r requirements.txt -r airflow-postgres.txt

FROM ${PYTHON_IMAGE} AS airflow
# AIRFLOW_HOME holds nothing but a generated configuration and may be in memory; logs and caches are volumes.
# Group 0 may write, so that the image runs under any user of that group.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    AIRFLOW_HOME=/opt/airflow \
    TRADEWIND_HOME=/var/lib/tradewind \
    TF_CPP_MIN_LOG_LEVEL=2
RUN for folder in /app /opt/airflow /var/lib/tradewind /var/log/airflow; do \
        mkdir -p "$folder" && chown 10001:0 "$folder" && chmod 775 "$folder"; \
    done
COPY --from=build /opt/venv /opt/venv
# By a file and not by PYTHONPATH, which no process of ours takes over.
RUN echo /app > "$(python -c 'import site; print(site.getsitepackages()[0])')/tradewind.pth"
COPY pyproject.toml uv.lock params.yaml dvc.yaml /app/
COPY ml /app/ml
COPY data_checks /app/data_checks
COPY dags /app/dags
COPY plugins /app/plugins
COPY deploy/health.py deploy/permissions.sh /app/deploy/
RUN python -m compileall -q /app/ml /app/data_checks /app/plugins
WORKDIR /opt/airflow
USER 10001:0
VOLUME ["/var/lib/tradewind", "/var/log/airflow"]
CMD ["airflow", "version"]
