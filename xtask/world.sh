#!/bin/sh
# world.sh PEERS SCRATCH COMMAND…
#
# Runs the command in a world of its own: processes, mounts and a network that is nothing but loopback, so that
# servers can have the real ports and real names, and nothing they do is seen outside. PEERS (unpacked packages) lie
# over /usr; what is written to /etc, /var and /run is forgotten, like SCRATCH (an empty folder), at the end. When the
# command ends, everything it started is gone with it.
set -eu

if [ "$1" != --inside ]; then
    # Not root: a user namespace lets clients run; servers that change their user need root.
    map=
    [ "$(id -u)" = 0 ] || map=--map-root-user
    exec unshare $map --mount --net --pid --fork --kill-child --mount-proc -- "$0" --inside "$@"
fi

peers=$2
scratch=$3
shift 3

mount -t tmpfs -o mode=755 none "$scratch"
mount -t overlay overlay -o "lowerdir=$peers/usr:/usr" /usr
for place in etc var; do
    mkdir "$scratch/$place" "$scratch/$place.work"
    mount -t overlay overlay -o "lowerdir=$peers/$place:/$place,upperdir=$scratch/$place,workdir=$scratch/$place.work" "/$place"
done
mount -t tmpfs -o mode=755 none /run
ip link set lo up
# Servers that look for their address among the interfaces find it.
for last in 2 3 4 5 6 7 8 9 53; do ip address add "127.0.0.$last/8" dev lo; done

rm -f /etc/resolv.conf
echo 'nameserver 127.0.0.53' >/etc/resolv.conf
echo '127.0.0.1 localhost' >/etc/hosts
echo 'hosts: files dns' >/etc/nsswitch.conf
uid=6100
for user in postfix postdrop Debian-exim opensmtpd opensmtpq dovecot dovenull nsd vmail; do
    grep -q "^$user:" /etc/group || echo "$user:x:$uid:" >>/etc/group
    grep -q "^$user:" /etc/passwd || echo "$user:x:$uid:$uid::/nonexistent:/usr/sbin/nologin" >>/etc/passwd
    uid=$((uid + 1))
done
exec "$@"
