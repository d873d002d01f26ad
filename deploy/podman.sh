# Sourced by the scripts that build images with podman: its runtime, the certificates, and a Python base where no registry is.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ca=${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}
local_base=localhost/tradewind-python:bookworm
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
    say "making a Python base with debootstrap"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,libgomp1 bookworm "$scratch/rootfs" >&2
    tar -C "$scratch/rootfs" -c . | podman import - "$local_base" >&2
}

# build IMAGE [podman build options] : on $PYTHON_IMAGE
build() {
    local name=$1
    shift
    podman build --quiet --network=host --secret "id=ca,src=$ca" --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" \
        --tag "$name" "$@" "$project" >&2
}
