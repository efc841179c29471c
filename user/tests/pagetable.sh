# pagetable(1): the toy machine, one walk, the map. Ends with 1 at the first surprise.
cd /tmp || exit 1
fail() { echo "FAIL: $*"; exit 1; }

# Lectures A1.
pagetable --toy 0b0111010010 >out || fail 'the toy'
grep -q 'physical address 111 | 1101 0010 = 0x7d2' out || fail 'virtual 01 1101 0010 is physical 111 1101 0010'
pagetable --toy 0x200 | grep -q 'invalid: the access traps' || fail 'page 10 is not there'
pagetable --toy 0x3ff | grep -q 'physical address 000 | 1111 1111 = 0x0ff' || fail 'frame 0 is a legal frame'
[ "$(pagetable --toy all | grep -c '^toy machine')" = 4 ] || fail 'all four pages'
pagetable --toy 0x400 2>out && fail 'eleven bits are too many'
grep -q "more than the toy's 10 bits" out || fail 'it does not say so'

# One walk: both levels, the flags by name, the physical address.
pagetable $$ 0x8049000 >out || fail 'a walk'
grep -q '^  00 0010 0000 *| 00 0100 1001 *| 0000 0000 0000' out || fail "the address cut into 10 + 10 + 12 bits: $(sed -n 3p out)"
grep -q 'directory entry 32 .*P present.*U user' out || fail 'the directory entry'
grep -q 'table entry     73 .*P present' out || fail 'the table entry'
grep -q 'physical address 0x' out || fail 'the physical address'
pagetable $$ 0x40000000 | grep -q 'no page: there is no table' || fail 'a hole'
pagetable $$ 0x80500000 | grep -q 'PS 4 MiB page' || fail "the kernel's half"

# The map: holes folded; frames that a forked child shares with its parent are marked.
pagetable $$ >out || fail 'a map'
grep -q 'hole of [0-9]* MiB' out || fail 'no hole is folded'
(sleep 100; true) & child=$!
usleep 200000
pagetable $child >out
grep -q ' private  *x2 ' out || fail "no shared frame: $(cat out)"
kill $child
pagetable 99999 2>out && fail 'no such process'
grep -q 'no process 99999' out || fail 'it does not say so'
echo "pagetable: ok"
