# Written by kindreg, and run before containerd starts. Docker writes /etc/hosts anew at each start of a node; it is a
# mount there, which no other file can replace, so it is written in place, and only where that changes something.
set -eu
others="$(sed '/ # kindreg:[a-z0-9-]*$/d' /etc/hosts)"
lines="$(printf '%s\n' "$others"; cat {{ lines }})"
[ "$lines" = "$(cat /etc/hosts)" ] || printf '%s\n' "$lines" >/etc/hosts
