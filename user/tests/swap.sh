# busybox's swap commands on /dev/vdb, which somebody has prepared and switched on, and on a file. Ends with 1 at the first surprise.
cd /var/tmp || exit 1
fail() { echo "FAIL: $*"; exit 1; }
areas() { sed 1d /proc/swaps | wc -l; }
swap_line() { free | grep '^Swap:'; }

[ "$(areas)" = 1 ] || fail 'one area from the start'
grep -q '^/dev/vdb  *partition	16380		' /proc/swaps || fail "/proc/swaps: $(cat /proc/swaps)"
set -- $(swap_line)
[ "$2" = 16380 ] || fail "free: $(swap_line)"
swapoff /dev/vdb || fail swapoff
[ "$(areas)" = 0 ] || fail 'it is off'
set -- $(swap_line)
[ "$2" = 0 ] || fail "free, without swap: $(swap_line)"

# All that /etc/fstab names, and everything off.
swapon -a 2>/dev/null
[ "$(areas)" = 1 ] || fail 'swapon -a'
swapoff -a || fail 'swapoff -a'
[ "$(areas)" = 0 ] || fail 'swapoff -a leaves something'

# busybox's own mkswap; priorities.
dd if=/dev/zero of=file bs=64k count=32 2>/dev/null
mkswap file >/dev/null || fail 'mkswap of a file'
mkswap /dev/vdb >/dev/null || fail 'mkswap of a disk'
swapon file || fail 'swapon of a file'
swapon /dev/vdb || fail 'swapon of the disk'
grep -q "^/var/tmp/file  *file		2044		0		-" /proc/swaps || fail "the file: $(cat /proc/swaps)"
rm file 2>/dev/null && fail 'a file in use is removed'
swapoff file && rm file || fail 'the file goes after all'

# What is no swap space is refused, and the kernel says why.
dd if=/dev/zero of=file bs=64k count=4 2>/dev/null
swapon file 2>/dev/null && fail 'a file without a header'
dmesg | tail -n 3 | grep -q 'Unable to find swap-space signature' || fail "no reason: $(dmesg | tail -n 3)"
mount -t ext2 /dev/vdb /mnt 2>/dev/null && fail 'a disk in use is mounted'
rm file
exit 0
