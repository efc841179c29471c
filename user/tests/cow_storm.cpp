// Copy-on-write asked the lectures' hardest question (D6): what if both write at the same instant? Processes that share pages by fork meet at a
// barrier, write the same bytes of the same page in the same instant, and look whether each sees exactly what it wrote.
#include "user/tests/harness.h"

namespace {

// In shared memory: how many have arrived, and which round may go.
struct Barrier {
  uint32_t arrived, round;
  uint32_t members;

  void wait() {
    uint32_t now = __atomic_load_n(&round, __ATOMIC_SEQ_CST);
    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == members) {
      __atomic_store_n(&arrived, 0, __ATOMIC_SEQ_CST);
      __atomic_add_fetch(&round, 1, __ATOMIC_SEQ_CST);
      return;
    }
    for (int spins = 0; __atomic_load_n(&round, __ATOMIC_SEQ_CST) == now; spins++)
      if (spins > 200) sched_yield();
  }
};

Barrier* make_barrier(int members) {
  auto* barrier = (Barrier*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  barrier->members = members;
  return barrier;
}

uint32_t value_of(int who, int round, int word) { return uint32_t(who + 1) * 0x01010101u ^ uint32_t(round * 64 + word); }

// Pages that each of `members` processes writes at once, `pages` of them in each generation: `members` * `pages` writes to shared frames.
constexpr int kWords = 16;  // of each page
void write_all(char* memory, int pages, int who, int round) {
  for (int page = 0; page < pages; page++) {
    auto* words = (volatile uint32_t*)(memory + page * kPage);
    words[page % kWords] = value_of(who, round, page % kWords);  // the write that copies, at the same instant as the others'
  }
  for (int page = 0; page < pages; page++) {
    auto* words = (volatile uint32_t*)(memory + page * kPage);
    for (int word = 0; word < kWords; word++) words[word] = value_of(who, round, word);
    words[1023] = value_of(who, round, 1023);
  }
}
void check_all(char* memory, int pages, int who, int round) {
  for (int page = 0; page < pages; page++) {
    auto* words = (volatile uint32_t*)(memory + page * kPage);
    for (int word = 0; word < 1024; word++) {
      bool written = word < kWords || word == 1023;
      uint32_t expected = written ? value_of(who, round, word) : uint32_t(page * 1024 + word);
      if (words[word] != expected)
        FAIL("process %d, round %d, page %d, word %d: %x, expected %x", who, round, page, word, words[word], expected);
    }
  }
}

// `rounds` generations of `members` processes (the parent is one of them), which write `pages` pages at once.
void storm(int members, int pages, int rounds) {
  Barrier* barrier = make_barrier(members);
  char* memory = map_pages(pages);
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < pages * 1024; i++) ((uint32_t*)memory)[i] = i;
    pid_t children[16];
    for (int who = 1; who < members; who++)
      children[who] = in_child([&] {
        barrier->wait();
        write_all(memory, pages, who, round);
        barrier->wait();
        check_all(memory, pages, who, round);
      });
    barrier->wait();
    write_all(memory, pages, 0, round);
    barrier->wait();
    check_all(memory, pages, 0, round);
    for (int who = 1; who < members; who++) CHECK_EXIT(children[who], 0);
  }
  say("  %d processes wrote %d shared pages at the same instant %d times: %d writes\n", members, pages, rounds, members * pages * rounds);
}

// Megabytes of memory that this machine has.
int memory_mib() {
  FILE* file = fopen("/proc/meminfo", "r");
  long kib = 0;
  CHECK(file && fscanf(file, "MemTotal: %ld", &kib) == 1);
  fclose(file);
  return int(kib >> 10);
}

void fork_with_touched(int mib) {
  if (memory_mib() < mib + mib / 8 + 64) SKIP("the machine is too small");
  size_t bytes = size_t(mib) << 20;
  char* memory = map_pages(int(bytes / kPage));
  for (size_t at = 0; at < bytes; at += kPage) *(uint32_t*)(memory + at) = uint32_t(at);
  int forks = 20;
  for (int i = 0; i < forks; i++) {
    CHECK_EXIT(in_child([&] {
                 // One page of each 16 MiB, written by both; all of them read.
                 for (size_t at = i * kPage; at < bytes; at += 16 << 20) *(uint32_t*)(memory + at) = 1;
                 for (size_t at = 0; at < bytes; at += 64 * kPage) {
                   bool written = (at - i * kPage) % (16 << 20) == 0 && at >= size_t(i) * kPage;
                   if (*(uint32_t*)(memory + at) != (written ? 1 : uint32_t(at))) FAIL("MiB %zu of the child", at >> 20);
                 }
               }),
               0);
  }
  for (size_t at = 0; at < bytes; at += kPage)
    if (*(uint32_t*)(memory + at) != uint32_t(at)) FAIL("MiB %zu of the parent", at >> 20);
  say("  %d forks with %d MiB touched\n", forks, mib);
}

}  // namespace

TEST_SLOW(parent_and_child_write_the_same_page_at_the_same_instant) { storm(2, 500, scale(200)); }
TEST_SLOW(eight_processes_write_the_same_page_at_the_same_instant) { storm(8, 500, scale(200)); }

// The same byte range of one shared page: no copy may come in between, and no write may be lost.
TEST_SLOW(eight_processes_count_in_one_page_that_stays_shared) {
  constexpr int kMembers = 8;
  int turns = scale(200) * 100;
  auto* counters = (uint32_t*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  Barrier* barrier = make_barrier(kMembers);
  pid_t children[kMembers];
  for (int who = 0; who < kMembers; who++)
    children[who] = in_child([&] {
      barrier->wait();
      for (int i = 0; i < turns; i++) {
        __atomic_add_fetch(&counters[0], 1, __ATOMIC_SEQ_CST);
        ((volatile uint8_t*)counters)[64 + who] = ((volatile uint8_t*)counters)[64 + who] + 1;
        if (i % 500 == 499) CHECK_EXIT(in_child([&] { __atomic_add_fetch(&counters[1], 1, __ATOMIC_SEQ_CST); }), 0);
      }
    });
  for (pid_t child : children) CHECK_EXIT(child, 0);
  CHECK_EQ(counters[0], kMembers * turns);
  CHECK_EQ(counters[1], kMembers * (turns / 500));
  for (int who = 0; who < kMembers; who++) CHECK_EQ(((uint8_t*)counters)[64 + who], uint8_t(turns));
  say("  %d writes to one page that stays shared, %d forks in between\n", 2 * kMembers * turns, kMembers * (turns / 500));
}

// One thread of the parent's throws pages away and maps them anew while the children write theirs.
TEST_SLOW(copies_while_pages_are_thrown_away) {
  constexpr int kMembers = 6, kPages = 64;
  int rounds = scale(200);
  Barrier* barrier = make_barrier(kMembers);
  char* memory = map_pages(kPages);
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < kPages * 1024; i++) ((uint32_t*)memory)[i] = i;
    pid_t children[kMembers];
    for (int who = 1; who < kMembers; who++)
      children[who] = in_child([&] {
        barrier->wait();
        if (who == 1) {
          CHECK_OK(munmap(memory + kPages / 2 * kPage, kPages / 2 * kPage));
          for (int page = 0; page < kPages / 2; page++) CHECK_EQ(((volatile uint32_t*)memory)[page * 1024 + 7], page * 1024 + 7);
          return;
        }
        write_all(memory, kPages, who, round);
        check_all(memory, kPages, who, round);
      });
    barrier->wait();
    for (int page = 0; page < kPages; page += 8) CHECK_OK(madvise(memory + page * kPage, 4 * kPage, MADV_DONTNEED));
    for (int page = 0; page < kPages; page++)
      for (int word = 0; word < 1024; word += 5)
        CHECK_EQ(((volatile uint32_t*)memory)[page * 1024 + word], page % 8 < 4 ? 0 : page * 1024 + word);
    for (int who = 1; who < kMembers; who++) CHECK_EXIT(children[who], 0);
  }
  say("  %d rounds of writers, one who unmaps and one who throws away\n", rounds);
}

TEST_SLOW(one_frame_shared_by_a_thousand_processes) {
  int members = scale(1000);
  rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  (void)setrlimit(RLIMIT_NPROC, &limit);
  char* memory = map_pages(1);
  strcpy(memory, "the same for all");
  int started[2], go[2];
  CHECK_OK(pipe(started));
  CHECK_OK(pipe(go));
  static pid_t children[1000];
  CHECK(members <= 1000);
  for (int who = 0; who < members; who++)
    children[who] = in_child([&] {
      close(go[1]);
      CHECK_STR(memory, "the same for all");
      CHECK_EQ(write(started[1], "x", 1), 1);
      char c;
      CHECK_EQ(read(go[0], &c, 1), 0);  // until the parent lets all of them go
      ((volatile int*)memory)[4] = who;
      sched_yield();
      CHECK_EQ(((volatile int*)memory)[4], who);
      CHECK(!memcmp(memory, "the same for all", 16));
      _exit(who & 63);
    });
  for (int who = 0; who < members; who++) {
    char c;
    CHECK_EQ(read(started[0], &c, 1), 1);
  }
  close(go[1]);  // all are alive and share the frame; now each writes
  for (int who = 0; who < members; who++) CHECK_EXIT(children[who], who & 63);
  CHECK_STR(memory, "the same for all");
  say("  %d processes alive with one frame, and each wrote its own copy\n", members);
}

// Each generation writes its page, checks all of its ancestors', and forks the next before it ends.
static int descend(char* memory, int generation, int last) {
  for (int i = 0; i <= last; i++) {
    int expected = i < generation ? i + 1 : 0;
    if (*(volatile int*)(memory + i * kPage) != expected) return 1;
  }
  *(volatile int*)(memory + generation * kPage) = generation + 1;
  if (generation == last) return 0;
  pid_t child = fork();
  if (child < 0) return 2;
  if (child == 0) _exit(descend(memory, generation + 1, last));
  int status = wait_for(child);
  for (int i = generation + 1; i <= last; i++)
    if (*(volatile int*)(memory + i * kPage) != 0) return 3;  // what descendants wrote stays theirs
  return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}
TEST_SLOW(a_chain_of_200_forks) {
  char* memory = map_pages(200);
  CHECK_EQ(descend(memory, 0, 199), 0);
  say("  200 generations alive at once\n");
}

TEST_SLOW(forks_with_512_mib_touched) { fork_with_touched(512); }
TEST_SLOW(forks_with_1_gib_touched) { fork_with_touched(1024); }
