#!/usr/bin/env python3
"""Mounts disks with damaged ext2 file systems, one after the other, and does to each what a user would. Runs on the host.

usage: user/tests/damaged-disks.py [--seed N] [--images N] [OPTION OF tools/run…]

Any error is right; a panic, a hang, or a disk that cannot be unmounted is not. A last disk has a feature that we do not know,
and must be refused by its name.
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/run")
BYTES = 1 << 20  # of an image
METADATA = 48  # blocks from the start, where nearly everything but the files' data is

# $1: images. Every image is copied to the same disk, which also tries that nothing old of it stays cached.
GUEST = """
i=0
while [ $i -lt $1 ]; do
  dd if=/dev/vdb of=/dev/vdc bs=1M skip=$i count=1 2>/dev/null || exit 7
  if mount -t ext2 /dev/vdc /mnt 2>/dev/null; then
    (ls -lR /mnt; find /mnt -type f | xargs head -qc 400000; mkdir /mnt/new; cp /bin/busybox /mnt/new; mv /mnt/a /mnt/new; ln /mnt/big /mnt/new/big
     for f in /mnt/*; do timeout 5 sh -c "echo more >> '$f'"; done  # it may be a fifo now
     rm -rf /mnt/many /mnt/new; sync; df /mnt) >/dev/null 2>&1
    umount /mnt || exit 8
  fi
  i=$((i + 1))
done
echo survived $i
"""


def clean_image(folder, block):
    tree, image = os.path.join(folder, "tree"), os.path.join(folder, "image")
    if not os.path.exists(tree):
        os.makedirs(os.path.join(tree, "a/b/c"))
        os.makedirs(os.path.join(tree, "many"))
        with open(os.path.join(tree, "big"), "wb") as file:
            file.write(bytes(range(256)) * 1200)
        for i in range(80):
            with open(os.path.join(tree, "many/name-%d" % i), "w", encoding="ascii") as file:
                file.write("%d\n" % i)
        os.symlink("a/b", os.path.join(tree, "link"))
    if os.path.exists(image):
        os.remove(image)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext2", "-b", str(block), "-d", tree, image, "%dk" % (BYTES >> 10)],
                   stdout=subprocess.DEVNULL, check=True)
    with open(image, "rb") as file:
        return bytearray(file.read())


def damage(image, block, rng):
    for _ in range(rng.randrange(1, 10)):
        at = 1024 + rng.randrange(264) if rng.random() < 0.2 else rng.randrange(METADATA * block)
        at = min(at, len(image) - block) & ~3
        kind = rng.randrange(5)
        if kind == 0:
            image[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            image[at:at + 4] = rng.choice([0, 1, 2, 11, 0xffffffff, 0x80000000, len(image) // block]).to_bytes(4, "little")
        elif kind == 2:
            image[at:at + 4] = rng.randrange(len(image) // block).to_bytes(4, "little")
        elif kind == 3:
            source = rng.randrange(METADATA * block - 64) & ~3
            image[at:at + 32] = image[source:source + 32]
        elif rng.random() < 0.3:
            image[at // block * block:(at // block + 1) * block] = rng.randbytes(block)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, default=40)
    options, of_run = parser.parse_known_args()
    os.environ["PATH"] += ":/sbin:/usr/sbin"
    with tempfile.TemporaryDirectory() as folder:
        images = []
        for i in range(options.images):
            block = (1024, 2048, 4096)[i % 3]
            images.append(clean_image(folder, block))
            damage(images[-1], block, random.Random(options.seed + i))
        images.append(clean_image(folder, 1024))
        images[-1][1024 + 96:1024 + 100] = (0x2 | 0x40).to_bytes(4, "little")  # feature_incompat: filetype, extents
        all_images, disk, log = (os.path.join(folder, name) for name in ("all", "disk", "log"))
        with open(all_images, "wb") as file:
            file.write(b"".join(images))
        with open(disk, "wb") as file:
            file.truncate(BYTES)
        command = [RUN, "--timeout", "300", "--disk", all_images, "--disk", disk, "--log", log] + of_run
        ran = subprocess.run(command + ["--", "sh", "-c", GUEST, "sh", str(len(images))], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        with open(log, errors="replace", encoding="utf-8") as file:
            console = file.read()
    if ran.returncode != 0 or ran.stdout != "survived %d\n" % len(images):
        sys.exit("status %d, output %r, images from --seed %d on" % (ran.returncode, ran.stdout[-300:], options.seed))
    if "cannot mount: incompatible feature extent" not in console:
        sys.exit("the unknown feature is not named:\n" + console[-2000:])


main()
