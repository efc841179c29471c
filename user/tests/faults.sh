# faults(1): exit statuses, the forms of its output, children, attaching. Ends with 1 at the first surprise.
cd /tmp || exit 1
fail() { echo "FAIL: $*"; exit 1; }
expect() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }

faults sh -c 'exit 7' 2>lines; expect 'exit status' 7 $?
faults sh -c 'kill -9 $$' 2>lines; expect 'death by signal' 137 $?
faults /nosuch 2>lines; expect 'no such command' 127 $?
grep -q 'faults: /nosuch: No such file or directory' lines || fail "it does not say why"
faults 2>lines; expect 'no command' 2 $?
faults -p 99999 2>lines; expect 'no such process' 1 $?
grep -q 'No such process' lines || fail 'it does not say that there is no such process'

# A line says what, where and why; the command's own output is left alone.
expect 'the command'"'"'s output' hello "$(faults -o lines echo hello)"
head -n 1 lines | grep -q 'what the kernel decided' || fail 'no heading'
grep -q ' user   x .* /bin/busybox .*file page [0-9]* of /bin/busybox was in the cache: minor' lines || fail 'no line about a cached page'
grep -q ' user   w .*\[stack\] .*copy-on-write\|stack, first write: zero frame 0x' lines || fail 'no line about the stack'
grep -q '/bin/faults' lines && fail 'faults of its own are told'

# Children are followed, and what fork does is told.
faults -o lines sh -c '(a=1; true); b=2; true'
grep -q 'copy-on-write: frame 0x[0-9a-f]* has [2-9] users, copied to 0x' lines || fail 'no copy-on-write'
grep -q 'page table un-shared first' lines || fail 'no un-shared table'
expect 'processes' 2 "$(sed 1d lines | awk '{ print $3 }' | sort -u | wc -l)"

# The table's sum is the number of lines; JSON has one object for each.
faults -c -o table true
grep -q ' all$' table || fail 'no sum'
expect 'the sum' "$(awk '/ all$/ { print $1 }' table)" "$(awk '!/ all$/ && !/^ *faults/ { n += $1 } END { print n }' table)"
faults --json -o objects true
[ "$(grep -c '^{"number":.*}$' objects)" = "$(wc -l <objects)" ] || fail 'not an object a line'
grep -q '"decision":"' objects || fail 'no decision in the objects'

# Attaching: a process that runs, until it ends.
sh -c 'sleep 1; exec sh -c "exit 3"' & pid=$!
faults -p $pid -o lines; expect 'attached' 0 $?
grep -q ' ahead ' lines || fail 'the attached process was not followed through exec'
wait $pid; expect 'the process'"'"'s status' 3 $?
# Page references: a trace that begins with its magic bytes, of the command and not of `faults`; the command's output and status are its own.
output=$(faults --trace trace sh -c 'echo hello; exit 3'); expect 'exit status under a trace' 3 $?
expect 'output under a trace' hello "$output"
expect 'the magic bytes' "$(printf 'FLTRACE\001')" "$(head -c 8 trace)"
[ "$(wc -c <trace)" -gt 50 ] || fail 'hardly a reference in the trace'
faults --trace trace -c true 2>lines; expect 'a trace and a table' 2 $?
faults --trace /nosuch/trace true 2>lines; expect 'nowhere to write' 1 $?
echo "faults: ok"
