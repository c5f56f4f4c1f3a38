#!/bin/sh
# Installs the .deb on a root that has what it depends on, runs it, and removes it: nothing may be left.
#
#   packaging/try.sh ROOT DEB       a hook of mmdebstrap, see scripts/test
set -eu
root=$1
cp "$2" "$root/paycurl.deb"
files() { chroot "$root" find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /var/lib/dpkg -o -path /var/log \) \
  -prune -o -print | sort; }

files >"$root.before"
chroot "$root" dpkg -i /paycurl.deb >/dev/null
chroot "$root" paycurl --version
chroot "$root" paycurl completions words accounts
[ "$(chroot "$root" paycurl --inspect http://127.0.0.1:1/ 2>/dev/null || echo $?)" = 7 ]
chroot "$root" dpkg --verify paycurl
chroot "$root" dpkg --purge paycurl >/dev/null
files | diff "$root.before" -
rm "$root.before"
echo "installed and removed: nothing is left"
