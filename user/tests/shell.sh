#!/bin/sh
# What a user does at the shell without a terminal, each line with the output that Linux gives. usage: sh shell.sh [DIRECTORY]
cd "${1:-/tmp}" || exit 1
failed=0
# expect NAME COMMAND EXPECTED: the command's whole output (errors too) and its status must be as given
expect() {
    got=$(eval "$2" 2>&1; echo "[$?]")
    if [ "$got" = "$3" ]; then echo "ok $1"; else failed=1; printf 'FAIL %s: expected\n%s\n--- got\n%s\n' "$1" "$3" "$got"; fi
}
expect 'a pipeline of arithmetic' 'echo $((6*7)) | tr 4 5' '52
[0]'
expect 'an exit status' 'sh -c "exit 3"' '[3]'
expect 'a count of commands' '[ $(ls -l /bin/ | wc -l) -gt 50 ] && echo many' 'many
[0]'
expect 'ten stages' 'seq 1000 | cat | cat | cat | cat | cat | cat | cat | cat | tail -n 1' '1000
[0]'
expect 'a here-document' 'cat <<X | wc -l
one
two
X' '2
[0]'
expect 'a long here-document' 'eval "cat <<X | wc -c
$(seq 1 20000)
X"' '108894
[0]'
expect 'globbing over 300 names' 'mkdir g && cd g && touch $(seq 300) && echo 1? | wc -w && echo * | wc -w; cd .. && rm -r g' '10
300
[0]'
expect 'background jobs and wait' 'for i in 3 1 2; do (exit $i) & done; wait; echo all; (exit 5) & wait $!' 'all
[5]'
expect 'forty background jobs at once' 'i=0; while [ $i -lt 40 ]; do sleep 0 & i=$((i + 1)); done; wait; echo done' 'done
[0]'
expect 'a broken pipe ends the writer' 'yes | head -n 2; echo $?' 'y
y
0
[0]'
expect 'command substitution of much' 'x=$(seq 1 30000); echo ${#x}' '168893
[0]'
expect 'a killed child is reported' 'sh -c "kill -9 \$\$"; echo $?' 'Killed
137
[0]'
expect 'redirection of both outputs' '(echo a; echo b >&2) > both 2>&1; sort both; rm both' 'a
b
[0]'
expect 'a file of 64 MiB of zeros' 'dd if=/dev/zero bs=65536 count=1024 2>/dev/null | sha256sum' '3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351  -
[0]'
expect 'a sparse file of 64 MiB' 'truncate -s 64M sparse && sha256sum < sparse; rm sparse' '3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351  -
[0]'
expect 'a file written, copied, archived, compressed' 'seq 1 200000 > s && cp s t && cmp s t && tar cf u.tar s t && gzip u.tar && mkdir x && tar xzf u.tar.gz -C x && cmp x/s t && echo same; rm -r s t x u.tar.gz' 'same
[0]'
expect 'a file unlinked while it is read' 'seq 5 > v; (sleep 0; cat) < v | tail -n 1; rm v' '5
[0]'
expect 'ps shows process 1 and itself' 'ps | grep -c "^ *1 "; ps -o pid,comm | grep -q " ps$" && echo itself' '1
itself
[0]'
expect 'top in batch mode' 'top -b -n 1 | grep -c "^Mem:"' '1
[0]'
expect 'free, df, uptime and mount' 'free | grep -c "^Mem:"; df / | tail -n 1 | grep -c "/$"; uptime | grep -c "load average"; mount | grep -c " / "' '1
1
1
1
[0]'
expect 'kill by name' 'sleep 1234 & until pidof sleep > /dev/null; do :; done; killall sleep; wait; echo $?' '0
[0]'
expect 'traps' 'sh -c "trap \"echo bye; exit 4\" TERM; kill \$\$; sleep 1"' 'bye
[4]'
expect 'a FIFO between two shells' 'mkfifo f; (seq 3 > f) & awk "{ s += \$1 } END { print s }" f; wait; rm f' '6
[0]'
expect 'timeout ends a command' 'timeout 1 sleep 100; echo $?' 'Terminated
143
[0]'
expect 'find, xargs, sed and awk together' 'mkdir -p h/i/j && for f in h/a h/i/b h/i/j/c; do seq 10 > $f; done; find h -type f | sort | xargs cat | sed "s/1/x/" | grep -c x; rm -r h' '6
[0]'
expect 'the current directory' 'mkdir -p k/l && cd k/l && pwd | sed "s|.*/k|k|" && cd .. && pwd | sed "s|.*/||"; cd .. && rmdir k/l k' 'k/l
k
[0]'
exit $failed
