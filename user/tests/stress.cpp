// Quantity: ten thousand forks and execs, many processes at once, memory used up, random calls. -n sets the counts.
#include "user/tests/harness.h"
#include <sys/sysinfo.h>

static long long free_memory() {
  struct sysinfo s;
  CHECK_OK(sysinfo(&s));
  return (long long)s.freeram * s.mem_unit;
}

TEST_SLOW(many_forks) {
  for (int i = 0; i < scale(1000); i++) CHECK_EXIT(in_child([=] { _exit(i & 63); }), i & 63);
}
TEST_SLOW(many_execs) {
  for (int i = 0; i < scale(500); i++) CHECK_EXIT(run_self("is_seven", "argument"), 7);
}
HELPER(is_seven) { _exit(g_argc == 3 ? 7 : 8); }

// Sixty live processes, each with memory of its own, all talking through pipes at the same time.
TEST_SLOW(sixty_processes_at_once) {
  constexpr int kCount = 60;
  int in[kCount][2], out[2];
  CHECK_OK(pipe(out));
  for (int i = 0; i < kCount; i++) {
    CHECK_OK(pipe(in[i]));
    in_child([&] {
      char* p = map_pages(20);
      for (int k = 0; k < 20; k++) *(int*)(p + k * kPage) = i * 100 + k;
      int value;
      while (read(in[i][0], &value, sizeof value) == sizeof value && value >= 0) {
        for (int k = 0; k < 20; k++) CHECK_EQ(*(int*)(p + k * kPage), i * 100 + k);
        value = value * kCount + i;
        CHECK_EQ(write(out[1], &value, sizeof value), sizeof value);
      }
    });
  }
  for (int round = 1; round <= 10; round++) {
    bool seen[kCount] = {};
    for (auto& p : in) CHECK_EQ(write(p[1], &round, sizeof round), sizeof round);
    for (int i = 0; i < kCount; i++) {
      int value;
      CHECK_EQ(read(out[0], &value, sizeof value), sizeof value);
      CHECK(value / kCount == round && !seen[value % kCount]);
      seen[value % kCount] = true;
    }
  }
  int end = -1, status;
  for (auto& p : in) CHECK_EQ(write(p[1], &end, sizeof end), sizeof end);
  for (int i = 0; i < kCount; i++) {
    CHECK_OK(wait(&status));
    CHECK_EQ(status, 0);
  }
}

// JOS: 20 processes and many yields; a counter that two processors change at once comes out right.
TEST_SLOW(yields_and_shared_counters) {
  int* counter = (int*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  pid_t pids[20];
  for (pid_t& p : pids)
    p = in_child([=] {
      for (int i = 0; i < 200; i++) {
        __atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
        sched_yield();
      }
    });
  for (pid_t p : pids) CHECK_EXIT(p, 0);
  CHECK_EQ(*counter, 4000);
}

// Pintos: page-parallel, page-merge: sorters in parallel over shared and private memory; the result is checked.
static void sort(unsigned char* p, int n) {
  int counts[256] = {};
  for (int i = 0; i < n; i++) counts[p[i]]++;
  for (int v = 0, i = 0; v < 256; v++)
    for (int k = 0; k < counts[v]; k++) p[i++] = v;
}
TEST_SLOW(parallel_sorters) {
  constexpr int kChunk = 256 * 1024, kChunks = 4;
  auto* p = (unsigned char*)map_pages(kChunk * kChunks / kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  unsigned x = 1;
  long sum = 0, after = 0;
  for (int i = 0; i < kChunk * kChunks; i++) {
    x = x * 1103515245 + 12345;
    p[i] = x >> 16;
    sum += p[i];
  }
  pid_t pids[kChunks];
  for (int c = 0; c < kChunks; c++) pids[c] = in_child([=] { sort(p + c * kChunk, kChunk); });
  for (pid_t pid : pids) CHECK_EXIT(pid, 0);
  for (int i = 0; i < kChunk * kChunks; i++) {
    after += p[i];
    if (i % kChunk) CHECK(p[i] >= p[i - 1]);
  }
  CHECK_EQ(after, sum);
}

// Pintos: page-linear, page-shuffle: more than the caches hold, every byte checked.
TEST_SLOW(linear_and_shuffled_access) {
  constexpr int kSize = 2 << 20;
  auto* p = (unsigned char*)map_pages(kSize / kPage);
  for (int i = 0; i < kSize; i++) p[i] = i % 251;
  for (int i = 0, at = 0; i < kSize; i++, at = (at + 40503) % kSize)
    if (p[at] != at % 251) FAIL("at %d", at);
  CHECK_EXIT(in_child([=] {
               for (int i = 0; i < kSize; i += 64) {
                 CHECK_EQ(p[i], i % 251);
                 p[i] = 0;
               }
             }),
             0);
  for (int i = 0; i < kSize; i += 64) CHECK_EQ(p[i], i % 251);
}

// ---- memory used up. Only on Faultline, whose machine is ours to exhaust.
// MIT lazy: oom. The process that takes everything is killed, its parent is not, and all of it comes back.
TEST_SLOW(whoever_takes_all_memory_is_killed) {
  if (!on_faultline()) SKIP("would exhaust this machine");
  for (int round = 0; round < 3; round++) {
    long long before = free_memory();
    pid_t greedy = in_child([] {
      for (;;) {
        char* p = (char*)mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
          CHECK_EQ(errno, ENOMEM);
          _exit(12);
        }
        for (int i = 0; i < 1 << 20; i += kPage) p[i] = 1;
      }
    });
    int status = wait_for(greedy);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || (WIFEXITED(status) && WEXITSTATUS(status) == 12));
    CHECK_EXIT(run_self("is_seven", "argument"), 7);
    if (free_memory() < before - (2 << 20)) FAIL("%lld bytes free before, %lld after", before, free_memory());
  }
}
// xv6-riscv: execout. Programs are started while memory is all but gone: they run or fail cleanly.
TEST_SLOW(exec_with_almost_no_memory) {
  if (!on_faultline()) SKIP("would exhaust this machine");
  for (int keep = 0; keep < 15; keep++) {
    pid_t child = in_child([=] {
      char* taken[16384];
      int n = 0;
      while (n < 16384 && free_memory() > (64 << 10)) {
        char* p = (char*)mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) break;
        for (int i = 0; i < 65536; i += kPage) p[i] = 1;
        taken[n++] = p;
      }
      for (int i = 0; i < keep && n > 0; i++) munmap(taken[--n], 65536);
      pid_t pid = fork();
      if (pid == 0) {
        execl(g_program, g_program, "@is_seven", "argument", nullptr);
        _exit(127);
      }
      if (pid > 0)
        wait_for(pid);
      else
        CHECK(errno == ENOMEM || errno == EAGAIN);
    });
    wait_for(child);
  }
  CHECK_EXIT(run_self("is_seven", "argument"), 7);
}
// The same for a fork of a process that is larger than half of memory and then writes all of it.
TEST_SLOW(copy_on_write_without_enough_memory) {
  if (!on_faultline()) SKIP("would exhaust this machine");
  size_t size = free_memory() / 4 * 3 & -kPage;
  pid_t outer = in_child([=] {
    char* p = map_pages(size / kPage);
    for (size_t i = 0; i < size; i += kPage) p[i] = 1;
    pid_t child = fork();
    if (child < 0) {
      CHECK(errno == ENOMEM || errno == EAGAIN);
      _exit(0);
    }
    for (size_t i = 0; i < size; i += kPage) p[i] = 2;
    if (child == 0) _exit(0);
    wait_for(child);
  });
  wait_for(outer);  // one of them was killed, or there was just enough
  CHECK_EXIT(run_self("is_seven", "argument"), 7);
}

// xv6-riscv: grind. Four processes make random calls on the same few names; the machine stays up, nothing leaks.
static void grind(unsigned x, int rounds) {
  auto random = [&x](int n) {
    x = x * 1103515245 + 12345;
    return int((x >> 16) % n);
  };
  static const char* names[] = {"a", "b", "../grind/c", "d/e", "d", "./d/../a"};
  auto name = [&] { return names[random(6)]; };
  int fd = -1;
  char buffer[999];
  char* area = map_pages(16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  for (int i = 0; i < rounds; i++) {
    int result = 0;
    switch (random(22)) {
      case 0: close(open(name(), O_CREAT | O_RDWR, 0600)); break;
      case 1: close(open(name(), O_CREAT | O_RDWR | O_TRUNC, 0600)); break;
      case 2: result = unlink(name()); break;
      case 3: result = mkdir(name(), 0755); break;
      case 4: result = rmdir(name()); break;
      case 5: result = link(name(), name()); break;
      case 6: result = rename(name(), name()); break;
      case 7: result = symlink(name(), name()); break;
      case 8:
        close(fd);
        fd = open(name(), O_CREAT | O_RDWR, 0600);
        break;
      case 9: result = write(fd, buffer, random(999)); break;
      case 10: result = read(fd, buffer, random(999)); break;
      case 11: result = pwrite(fd, buffer, 1, random(100000)); break;
      case 12: result = ftruncate(fd, random(20000)); break;
      case 13: {
        pid_t p = fork();
        if (p == 0) _exit(0);
        if (p > 0) wait_for(p);
        break;
      }
      case 14: {
        pid_t p = fork();
        if (p == 0) {
          if (fork() == 0) _exit(0);
          _exit(0);
        }
        if (p > 0) wait_for(p);
        break;
      }
      case 15: {
        pid_t p = fork();
        if (p == 0)
          for (;;) pause();
        if (p > 0) {
          kill(p, SIGKILL);
          wait_for(p);
        }
        break;
      }
      case 16: {
        int e[2];
        if (pipe(e) == 0) {
          pid_t p = fork();
          if (p == 0) {
            result = write(e[1], "xy", 2);
            _exit(0);
          }
          char c[2];
          if (p > 0) {
            result = read(e[0], c, 2);
            wait_for(p);
          }
          close(e[0]);
          close(e[1]);
        }
        break;
      }
      case 17: {
        char* p = (char*)sbrk(6011);
        if (p != (char*)-1) {
          p[random(6011)] = 1;
          (void)!brk(p);
        }
        break;
      }
      case 18:
        area[random(16) * kPage] = 1;
        madvise(area + random(16) * kPage, kPage, MADV_DONTNEED);
        break;
      case 19: {
        void* p = mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, random(2) ? MAP_SHARED : MAP_PRIVATE, fd, random(4) * kPage);
        if (p != MAP_FAILED) {
          fault_of([=] { ((volatile char*)p)[kPage] = 1; });
          munmap(p, 3 * kPage);
        }
        break;
      }
      case 20: {
        pid_t p = fork();
        if (p == 0) {
          execl(g_program, g_program, "@is_seven", nullptr);
          _exit(0);
        }
        if (p > 0) wait_for(p);
        break;
      }
      case 21: {
        DIR* dir = opendir(".");
        while (dir && readdir(dir)) {
        }
        if (dir) closedir(dir);
        break;
      }
    }
    (void)result;
  }
}
TEST_SLOW(random_calls) {
  CHECK_OK(mkdir("grind", 0755));
  CHECK_OK(chdir("grind"));
  CHECK_OK(mkdir("d", 0755));
  pid_t pids[4];
  for (int i = 0; i < 4; i++) pids[i] = in_child([=] { grind(31 + i * 7177, scale(400)); });
  for (pid_t p : pids) CHECK_EXIT(p, 0);
}
