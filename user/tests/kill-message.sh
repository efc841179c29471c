#!/bin/sh
# A process that the kernel ends for a fault is announced on the console, in exactly one shape. Runs on the host.
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
"$(dirname "$0")/../../tools/run" --log "$log" "$@" -- /tests/traps @writes_0x800444
status=$?
[ $status = 139 ] || { echo "exit status $status, expected 139 (SIGSEGV)"; exit 1; }
tr -d '\r' < "$log" | grep -Eq '^pid [0-9]+ traps: trap 14 err 6 on cpu [0-9]+ eip 0x[0-9a-f]+ addr 0x800444--kill proc$' && exit 0
echo "no such line on the console:"
cat "$log"
exit 1
