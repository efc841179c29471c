# The programs of user/messages over the kernel's messages: however many processes, the results are the same; all sending first is a deadlock.
fail() { echo "FAIL: $*"; exit 1; }
wanted=$(life -n 1 --generations 60 gosper-gun.rle) || fail "life alone: $?"
case $wanted in *alive*) ;; *) fail "life says: $wanted" ;; esac
for n in 2 3 7 16 64; do
    got=$(life -n $n --generations 60 gosper-gun.rle) || fail "life -n $n: $?"
    [ "$got" = "$wanted" ] || fail "life -n $n: $got, not $wanted"
done
[ "$(life -n 1 --size 20x5 --generations 9 glider.rle)" = "$(life -n 9 --size 20x5 --generations 9 glider.rle)" ] || fail "more processes than rows"
for n in 2 5; do
    said=$(life -n $n --naive --generations 3 glider.rle 2>&1)
    [ $? = 3 ] || fail "life --naive -n $n ended with $?"
    case $said in *deadlock*) ;; *) fail "life --naive -n $n: $said" ;; esac
done
wanted=$(farm -n 1 --primes 30000) || fail "farm: $?"
[ "$wanted" = "3245 primes below 30000" ] || fail "farm says: $wanted"
picture=$(farm -n 1 --mandelbrot 60x20)
for n in 2 8 40; do
    [ "$(farm -n $n --primes 30000)" = "$wanted" ] || fail "farm -n $n --primes"
    [ "$(farm -n $n --mandelbrot 60x20)" = "$picture" ] || fail "farm -n $n --mandelbrot"
done
echo "as it should be"
