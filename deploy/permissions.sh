#!/bin/sh
# Gives each folder or file to the user whose service uses it, with a mode of its own:
#
#   permissions.sh UID:MODE:PATH ...
#
# Needs root and the capability CHOWN: who may not override modes changes the mode as the owner.
set -eu

for item; do
    user=${item%%:*}
    rest=${item#*:}
    mode=${rest%%:*}
    path=${rest#*:}
    [ "$(stat -c %u:%a "$path")" = "$user:$mode" ] && continue
    chown 0:0 "$path"
    chmod "$mode" "$path"
    chown "$user:0" "$path"
done
