// io_uring(7) and a disk that takes its time (docs/fault-injection.md): submitting does not wait for it, it sees several requests at once, and whoever
// ends meanwhile waits for what runs and loses nothing. Faultline only, with a disk /dev/vdb that may be overwritten.
#include "user/tests/disk_rules.h"
#include "user/tests/ring_support.h"

namespace {

constexpr int kReads = 8, kApart = 1 << 20, kDelay = 1000;  // bytes, milliseconds

// /dev/vdb, of which nothing is in memory; each read of it comes late.
struct SlowDisk {
  int fd;
  SlowDisk() {
    if (!on_faultline() || access("/dev/vdb", F_OK)) SKIP("needs Faultline and a disk /dev/vdb");
    fd = CHECK_OK(open("/dev/vdb", O_RDWR));
    for (int i = 0; i < kReads; i++) {
      char page[kPage];
      memset(page, 'a' + i, sizeof page);
      CHECK_EQ(pwrite(fd, page, sizeof page, off_t(i) * kApart), kPage);
    }
    CHECK_OK(fsync(fd));
    int caches = CHECK_OK(open("/proc/sys/vm/drop_caches", O_WRONLY));
    CHECK_EQ(write(caches, "1", 1), 1);
    CHECK_OK(close(caches));
    char text[64];
    snprintf(text, sizeof text, "vdb read delay %d", kDelay);
    rule(text);
  }
  SlowDisk(const SlowDisk&) = delete;
  ~SlowDisk() {
    rule("clear");
    close(fd);
  }
  void wait_for(int under_way) {
    while (struck() < under_way) pause_a_little();
  }
};

char g_pages[kReads][kPage];

void add_reads(Ring& ring, SlowDisk& disk, int from = 0) {
  for (int i = from; i < kReads; i++) ring.add(IORING_OP_READ, disk.fd, g_pages[i], kPage, uint64_t(i) * kApart, i);
}

}  // namespace

TEST(several_reads_are_under_way_at_once) {
  SlowDisk disk;
  Ring ring(16);
  add_reads(ring, disk);
  CHECK_EQ(ring.submit(), kReads);
  CHECK_EQ(ring.ready(), 0);
  // All have been handed over, and none is back.
  disk.wait_for(kReads);
  CHECK_EQ(ring.ready(), 0);
  int result[kReads];
  ring.results(result);
  for (int i = 0; i < kReads; i++) {
    CHECK_EQ(result[i], kPage);
    for (char each : g_pages[i]) CHECK_EQ(each, 'a' + i);
  }
  // What is in memory now is read at once.
  ring.add(IORING_OP_READ, disk.fd, g_pages[0], kPage, kApart, 1);
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring.ready(), 1);
  CHECK_EQ(ring.result(1), kPage);
}

TEST(what_the_disk_has_begun_is_not_cancelled) {
  SlowDisk disk;
  Ring ring(16);
  ring.add(IORING_OP_READ, disk.fd, g_pages[0], kPage, 0, 0).flags = IOSQE_IO_LINK;
  ring.add(IORING_OP_READ, disk.fd, g_pages[0], kPage, 0, 1);
  CHECK_EQ(ring.submit(), 2);
  disk.wait_for(1);
  ring.add(IORING_OP_ASYNC_CANCEL, -1, (void*)0, 0, 0, 2);
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring.result(2), -EALREADY);
  CHECK_EQ(ring.result(0), kPage);
  CHECK_EQ(ring.result(1), kPage);
}

// More than may wait for disks at a time: those in the queue are cancelled, quick ones pass them by.
TEST(many_wait_for_the_disk) {
  SlowDisk disk;
  Ring ring(64);
  for (int i = 0; i < 20; i++) ring.add(IORING_OP_READ, disk.fd, g_pages[i % kReads], kPage, uint64_t(i) * kApart / 2, i);
  CHECK_EQ(ring.submit(), 20);
  disk.wait_for(16);
  ring.add(IORING_OP_ASYNC_CANCEL, -1, (void*)19, 0, 0, 20);
  const __kernel_timespec soon = {0, 1000};
  ring.add(IORING_OP_TIMEOUT, -1, &soon, 1, 0, 21);
  CHECK_EQ(ring.submit(), 2);
  CHECK_EQ(ring.result(20), 0);
  CHECK_EQ(ring.result(21), -ETIME);
  for (int i = 0; i < 20; i++) {
    io_uring_cqe entry = ring.next();
    CHECK_EQ(entry.res, entry.user_data == 19 ? -ECANCELED : kPage);
  }
}

TEST(a_ring_is_closed_while_the_disk_works) {
  SlowDisk disk;
  {
    Ring ring(16);
    add_reads(ring, disk);
    CHECK_EQ(ring.submit(), kReads);
    disk.wait_for(kReads);
    ring.end();
  }
}

HELPER(nothing) { _exit(0); }

TEST(a_process_ends_while_the_disk_works) {
  for (int how = 0; how < 3; how++) {
    SlowDisk disk;
    Gate gate;
    pid_t child = in_child([&] {
      Ring ring(16);
      add_reads(ring, disk);
      CHECK_EQ(ring.submit(), kReads);
      disk.wait_for(kReads);
      gate.open();
      if (how == 0) pause();
      if (how == 1) _exit(0);
      CHECK_OK(fcntl(ring.fd, F_SETFD, 0));
      execl(g_program, g_program, "@nothing", (char*)nullptr);
    });
    gate.wait();
    if (how == 0) {
      CHECK_OK(kill(child, SIGKILL));
      CHECK_SIGNAL(child, SIGKILL);
    } else
      CHECK_EXIT(child, 0);
  }
}

TEST(writes_reach_the_disk) {
  SlowDisk disk;
  rule("clear");
  Ring ring(16);
  memset(g_pages, 'w', sizeof g_pages);
  for (int i = 0; i < kReads; i++) ring.add(IORING_OP_WRITE, disk.fd, g_pages[i], kPage, uint64_t(i) * kApart, i);
  CHECK_EQ(ring.submit(), kReads);
  int result[kReads];
  ring.results(result);
  for (int each : result) CHECK_EQ(each, kPage);
  CHECK_EQ(ring.run(IORING_OP_FSYNC, disk.fd), 0);
  rule("vdb write error");
  CHECK_EQ(ring.run(IORING_OP_WRITE, disk.fd, g_pages[0], kPage, 0), kPage);
  CHECK_EQ(ring.run(IORING_OP_FSYNC, disk.fd), -EIO);
  rule("clear");
  CHECK_EQ(ring.run(IORING_OP_WRITE, disk.fd, g_pages[0], kPage, 0), kPage);
  CHECK_EQ(ring.run(IORING_OP_FSYNC, disk.fd), 0);
}
