#!/bin/sh
# eth0 is there and has what QEMU's DHCP gives out; run with tools/run --net. With the argument "none": without a card there is only lo.
if [ "$1" = none ]; then
    [ "$(sed 1,2d /proc/net/dev | cut -d: -f1 | tr -d ' ')" = lo ]
    exit
fi
grep -q '^ *eth0: ' /proc/net/dev || { echo "no eth0"; exit 1; }
for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    dmesg | grep -q 'eth0: address 10.0.2.15, gateway 10.0.2.2' && exit 0
    sleep 1
done
echo "no address after $second seconds"
cat /proc/net/dev
exit 1
