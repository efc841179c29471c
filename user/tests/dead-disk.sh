#!/bin/sh
# A disk that stops answering is an I/O error and a line on the console, and everything else goes on. Runs on the host.
# usage: dead-disk.sh [RUN-OPTIONS...]
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
truncate -s 16M "$dir/disk"
# A byte a second: what it is asked would take hours.
QEMUEXTRA="-drive file=$dir/disk,format=raw,if=none,id=dead,throttling.bps-total=1 -device virtio-blk-pci,drive=dead"
export QEMUEXTRA
"$(dirname "$0")/../../tools/run" --timeout 300 --log "$dir/console" "$@" -- sh -c '
    dd if=/dev/vdb of=/dev/null bs=4096 skip=2000 count=1 &
    sleep 1; cp /bin/busybox /root/copy && cmp /bin/busybox /root/copy || exit 3   # the other disk
    wait $!' > "$dir/said" 2>&1
status=$?
[ $status = 1 ] && grep -q 'Input/output error' "$dir/said" || { echo "exit status $status, expected 1, and an I/O error:"; cat "$dir/said"; exit 1; }
grep -q 'vdb: no answer.*given up' "$dir/console" || { echo "no such line on the console:"; cat "$dir/console"; exit 1; }
