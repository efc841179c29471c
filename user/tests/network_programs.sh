#!/bin/sh
# busybox's network programs, each against the other over loopback. Ends with 1 at the first that does not do what it shall.
fail() { echo "$1"; shift; [ $# = 0 ] || cat "$@"; exit 1; }
mkdir -p /tmp/network/www && cd /tmp/network || exit 1
seq 20000 >www/numbers

ifconfig lo >out || fail 'ifconfig' out
grep -q 'inet addr:127.0.0.1 *Mask:255.0.0.0' out && grep -q 'UP LOOPBACK RUNNING' out || fail 'ifconfig lo' out

ping -c 3 -i 0.1 127.0.0.1 >out || fail 'ping' out
grep -q '3 packets transmitted, 3 packets received, 0% packet loss' out || fail 'ping' out

# A file by HTTP, and one that is not there.
httpd -p 127.0.0.1:8080 -h www || fail 'httpd'
wget -q -O got http://127.0.0.1:8080/numbers || fail 'wget'
cmp www/numbers got || fail 'wget got something else'
wget -q -O got http://127.0.0.1:8080/absent 2>out && fail 'wget of what is not there'
grep -q 404 out || fail 'wget of what is not there' out

# A file from one nc to another, which has nothing to say until it has it.
(until [ -e sent ]; do sleep 0.1; done) | nc -l -p 8081 >got &
until netstat -ltn 2>/dev/null | grep -q ':8081 '; do sleep 0.1; done  # (there is no tcp6 to look at)
nc 127.0.0.1 8081 <www/numbers || fail 'nc'
touch sent
wait $!
cmp www/numbers got || fail 'nc got something else'
nc -w 1 127.0.0.1 8089 </dev/null 2>out && fail 'nc to a port where nobody listens'
grep -q refused out || fail 'nc to a port where nobody listens' out

# A shell by telnet, on a terminal of its own.
telnetd -p 8082 -l /bin/sh || fail 'telnetd'
: >out
(echo 'tty; echo $((6*7))x'; until grep -q '^42x' out; do sleep 0.1; done; echo exit) | telnet 127.0.0.1 8082 >out
grep -q '^/dev/pts/' out && grep -q '^42x' out || fail 'telnet' out
killall telnetd httpd
