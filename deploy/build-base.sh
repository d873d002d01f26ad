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
source "$(dirname "${BASH_SOURCE[0]}")/podman.sh"
official=docker.io/library/python:3.11-slim-bookworm
image=localhost/tradewind-runtime:latest

choose_python() {
    [[ -n ${PYTHON_IMAGE:-} ]] && return
    local digest
    if digest=$(timeout 30 skopeo inspect --no-tags --format '{{.Digest}}' "docker://$official" 2>/dev/null); then
        PYTHON_IMAGE=${official%%:*}@$digest
    else
        say "no image registry"
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
build "$image" --label "org.opencontainers.image.base.name=$PYTHON_IMAGE"
rm -rf "$layout"
mkdir -p "$(dirname "$layout")"
skopeo copy --quiet "containers-storage:$image" "oci:$layout:runtime"
skopeo inspect --format '{{.Digest}}' "oci:$layout:runtime"
