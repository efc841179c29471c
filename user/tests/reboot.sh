#!/bin/sh
# A file copied in, checksummed, and copied out after a reboot is the same, for each block size; the disk is sound.
# Runs on the host. usage: reboot.sh [RUN-OPTIONS...]
run="$(dirname "$0")/../../tools/run"
disk=/dev/vdb
[ "${DISKIF:-}" = ide ] && disk=/dev/hdb
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
head -c 3000001 /dev/urandom > "$dir/file"
sum=$(sha256sum < "$dir/file")
for block in 1024 2048 4096; do
    rm -f "$dir/disk" "$dir/out"
    truncate -s 16M "$dir/disk"
    mke2fs -q -t ext2 -b $block "$dir/disk" || exit 1
    "$run" --timeout 120 --disk "$dir/disk" --add "$dir/file:/tmp-file" "$@" -- sh -c '
        mount -t ext2 '$disk' /mnt && mkdir /mnt/d && cp /tmp-file /mnt/d/file && ln /mnt/d/file /mnt/link && sha256sum < /mnt/d/file && umount /mnt' > "$dir/said" || exit 1
    [ "$(cat "$dir/said")" = "$sum" ] || { echo "blocks of $block: another checksum before the reboot"; exit 1; }
    e2fsck -fn "$dir/disk" > "$dir/said" 2>&1 || { echo "blocks of $block:"; cat "$dir/said"; exit 1; }
    "$run" --timeout 120 --disk "$dir/disk" --get /root/out:"$dir/out" "$@" -- sh -c 'mount -t ext2 '$disk' /mnt && cp /mnt/link /root/out && rm /mnt/d/file && rmdir /mnt/d && umount /mnt' || exit 1
    cmp "$dir/file" "$dir/out" || { echo "blocks of $block: it came back changed"; exit 1; }
    e2fsck -fn "$dir/disk" > "$dir/said" 2>&1 || { echo "blocks of $block:"; cat "$dir/said"; exit 1; }
done
