#!/usr/bin/env bash
# Builds the runtime base from the repository's Dockerfile into an OCI layout, and prints its digest.
#
#   deploy/build-base.sh FOLDER
#
# Set TRADEWIND_RUNTIME_BASE=FOLDER afterwards: every promotion then assembles a runnable image on it.
# With an image registry the Python base is pinned by digest; without one it is made by debootstrap.
#
#   PYTHON_IMAGE  image to build on (default: python:3.11-slim-bookworm, or one made here)
#   CA_BUNDLE     certificates for package downloads (default: the machine's own)
#
# Needs podman and skopeo; without a registry debootstrap and root as well.
set -euo pipefail

layout=${1:?usage: deploy/build-base.sh FOLDER}
project=$(cd "$(dirname "$0")/.." && pwd)
ca=${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}
official=docker.io/library/python:3.11-slim-bookworm
local_base=localhost/tradewind-python:bookworm
image=localhost/tradewind-runtime:latest
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# crun cannot work with hybrid cgroups, runc can; a configuration of the caller's own is left alone.
if [[ -z ${CONTAINERS_CONF:-} ]] && command -v runc >/dev/null; then
    printf '[engine]\nruntime="runc"\n[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1024:1024"]\n' \
        >"$scratch/containers.conf"
    export CONTAINERS_CONF=$scratch/containers.conf
fi

say() { printf '%s\n' "$*" >&2; }

make_local_base() {
    podman image exists "$local_base" && return
    say "no image registry: making a Python base with debootstrap"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$scratch/rootfs" >&2
    tar -C "$scratch/rootfs" -c . | podman import - "$local_base" >&2
}

choose_python() {
    [[ -n ${PYTHON_IMAGE:-} ]] && return
    local digest
    if digest=$(timeout 30 skopeo inspect --no-tags --format '{{.Digest}}' "docker://$official" 2>/dev/null); then
        PYTHON_IMAGE=${official%%:*}@$digest
    else
        make_local_base
        PYTHON_IMAGE=$local_base
    fi
}

if [[ -e $layout && ! -f $layout/oci-layout ]]; then
    say "$layout exists and is no OCI layout: name another folder"
    exit 2
fi
choose_python
say "building on $PYTHON_IMAGE"
podman build --quiet --network=host --secret "id=ca,src=$ca" --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" \
    --label "org.opencontainers.image.base.name=$PYTHON_IMAGE" --tag "$image" "$project" >&2
rm -rf "$layout"
mkdir -p "$(dirname "$layout")"
skopeo copy --quiet "containers-storage:$image" "oci:$layout:runtime"
skopeo inspect --format '{{.Digest}}' "oci:$layout:runtime"
