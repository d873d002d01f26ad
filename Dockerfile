# The runtime base: Python, the locked libraries of the model server and the `ml` package; no TensorFlow, no pipeline.
# A version's layer goes on top of it (`ml/packaging/image.py`). `deploy/build-base.sh` builds it with the base
# pinned by digest, or on a base made on the spot where no image registry can be reached.
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
COPY pyproject.toml uv.lock ./
RUN tools/bin/uv export --frozen --quiet --extra serve --no-default-groups --no-emit-project -o requirements.txt
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv --without-pip /opt/venv \
    && tools/bin/uv pip install --no-cache --quiet --python /opt/venv/bin/python --require-hashes -r requirements.txt

FROM ${PYTHON_IMAGE} AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TRADEWIND_HOME=/var/lib/tradewind
# LightGBM's trees need the OpenMP runtime, which a slim image does not have.
RUN ldconfig -p | grep -q libgomp.so.1 \
    || { apt-get update -qq && apt-get install -y -qq --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*; }
RUN mkdir -p /var/lib/tradewind /app && chown 10001:10001 /var/lib/tradewind
COPY --from=build /opt/venv /opt/venv
# By a file and not by PYTHONPATH, which no process of ours takes over.
RUN echo /app > "$(python -c 'import site; print(site.getsitepackages()[0])')/tradewind.pth"
COPY ml /app/ml
RUN python -m compileall -q /app
WORKDIR /app
USER 10001:10001
VOLUME /var/lib/tradewind
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/health', timeout=4)"]
CMD ["python", "-m", "ml", "serve", "--host", "0.0.0.0", "--port", "8500", "--health-port", "8501"]
