#!/bin/sh
# Memory as a cache for the disk, at full size: 400 MiB on a machine with 64, a file of 200 MiB sorted on 48, a build of 2,000 processes.
# Not among the tests of make test, which run the same programs smaller: this takes some ten minutes.
set -u
cd "$(dirname "$0")/../.."
PATH=$PATH:/sbin:/usr/sbin
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
disk=$folder/disk.img
passed=0 failed=0

# NAME, options of tools/run up to "--", then the test program. The disk is at /mnt.
large() {
    name=$1
    shift
    options=
    while [ "$1" != -- ]; do options="$options $1"; shift; done
    shift
    begin=$(date +%s)
    rm -f "$disk"
    truncate -s 1G "$disk" && mke2fs -q -F -t ext2 "$disk" || exit 125
    # shellcheck disable=SC2086  # options are words
    if tools/run --swap 512 --timeout 1800 --disk "$disk" $options -- sh -c "mount /dev/vdb /mnt && $*; r=\$?; umount /mnt; exit \$r" &&
       e2fsck -fn "$disk" >/dev/null 2>&1; then
        passed=$((passed + 1)); echo "ok      $name ($(($(date +%s) - begin)) s)"
    else
        failed=$((failed + 1)); echo "FAILED  $name"
    fi
}

large 400-mib-on-64 --mem 64 --cpus 1 -- /tests/swap -n 645 a_process_larger_than_memory
large 400-mib-by-four-forks --mem 64 --cpus 4 -- /tests/swap -n 645 four_processes_share_half_of_it_copy_on_write
large 400-mib-shared-file --mem 64 --cpus 4 -- /tests/swap -n 645 -d /mnt four_processes_over_one_shared_file
large 200-mib-sorted-on-48 --mem 48 --cpus 2 -- /tests/pressure -n 435 -d /mnt a_file_larger_than_memory_is_sorted
large build-of-2000-on-32 --mem 32 --cpus 2 -- /tests/pressure -n 2000 -d /mnt a_build_under_a_memory_cap
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
