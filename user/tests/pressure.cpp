// Work that wants more memory than there is: a sort, a build, a shell beside a program that needs half as much again as all of RAM.
// Made for a small machine with a swap area. -n is the size in per cent of RAM.
#include "user/tests/harness.h"
#include "user/tests/swap_space.h"
#include <algorithm>
#include <queue>
#include <vector>

// ---- a sort
struct Record {
  uint64_t key;
  uint32_t number, filler[13];
};
static_assert(sizeof(Record) == 64);

static uint64_t scramble(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

static Record* map_file(const char* name, size_t bytes, int flags) {
  int fd = int(CHECK_OK(open(name, O_RDWR)));
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  CHECK(p != MAP_FAILED);
  close(fd);
  return (Record*)p;
}

// Runs that fit into memory are sorted where they lie, in a private mapping of the file, whose changed pages go to swap; then all are merged into
// another file, through a shared mapping.
TEST_SLOW(a_file_larger_than_memory_is_sorted) {
  const size_t bytes = bytes_of_ram(scale(100)), count = bytes / sizeof(Record), run = size_t(1 << 20) / sizeof(Record);
  int fd = make_file("in");
  std::vector<Record> chunk(1024);
  for (size_t i = 0; i < count; i += chunk.size()) {
    size_t n = std::min(chunk.size(), count - i);
    for (size_t j = 0; j < n; j++) chunk[j] = {scramble(i + j), uint32_t(i + j), {uint32_t(~(i + j))}};
    CHECK_EQ(write(fd, chunk.data(), n * sizeof(Record)), n * sizeof(Record));
  }
  close(fd);
  fd = make_file("out");
  CHECK_OK(ftruncate(fd, off_t(bytes)));
  close(fd);

  auto is_less = [](const Record& a, const Record& b) { return a.key < b.key; };
  Record *in = map_file("in", bytes, MAP_PRIVATE), *out = map_file("out", bytes, MAP_SHARED);
  for (size_t i = 0; i < count; i += run) std::sort(in + i, in + std::min(i + run, count), is_less);
  struct Head {
    Record *next, *end;
    bool operator<(const Head& other) const { return next->key > other.next->key; }
  };
  std::priority_queue<Head> heads;
  for (size_t i = 0; i < count; i += run) heads.push({in + i, in + std::min(i + run, count)});
  for (Record* to = out; !heads.empty(); to++) {
    Head head = heads.top();
    heads.pop();
    *to = *head.next++;
    if (head.next != head.end) heads.push(head);
  }
  CHECK_OK(munmap(in, bytes));

  std::vector<bool> seen(count);
  for (size_t i = 0; i < count; i++) {
    CHECK(i == 0 || out[i - 1].key < out[i].key);
    CHECK(out[i].number < count && !seen[out[i].number]);
    CHECK(out[i].key == scramble(out[i].number) && out[i].filler[0] == ~out[i].number);
    seen[out[i].number] = true;
  }
}

// ---- a build: many short processes, six at a time, each of which reads the same headers, fills a heap and leaves a file
constexpr int kHeaders = 40, kHeaderBytes = 16 * kPage, kAtOnce = 6, kObjectBytes = 8 * kPage;

static uint32_t add_to_sum(uint32_t sum, const char* bytes, size_t count) {
  for (size_t i = 0; i < count; i++) sum = sum * 31 + uint8_t(bytes[i]);
  return sum;
}
// What the compilation of this number has read: every header, every other or every third.
template <typename SumOfHeader>
static uint32_t sum_for(uint32_t number, SumOfHeader sum_of_header) {
  uint32_t sum = number;
  for (int i = 0; i < kHeaders; i += 1 + int(number % 3)) sum = sum * 31 + sum_of_header(i);
  return sum;
}

static uint32_t sum_of_file(const char* name) {
  char buffer[kPage];
  uint32_t sum = 0;
  int fd = int(CHECK_OK(open(name, O_RDONLY)));
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) sum = add_to_sum(sum, buffer, size_t(n));
  close(fd);
  return sum;
}

// PROGRAM @compile NUMBER KIBIBYTES
HELPER(compile) {
  const uint32_t number = uint32_t(atoi(g_argv[2]));
  const size_t words = size_t(atoi(g_argv[3])) * 1024 / 4;
  char name[32];
  const uint32_t sum = sum_for(number, [&](int header) {
    snprintf(name, sizeof name, "header.%d", header);
    return sum_of_file(name);
  });
  uint32_t* heap = (uint32_t*)malloc(words * 4);
  CHECK(heap);
  for (size_t i = 0; i < words; i++) heap[i] = uint32_t(i) * sum;
  for (size_t i = words; i-- > 0;) CHECK(heap[i] == uint32_t(i) * sum);
  snprintf(name, sizeof name, "object.%u", number);
  int fd = int(CHECK_OK(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644)));
  CHECK_EQ(write(fd, heap, kObjectBytes), kObjectBytes);
  close(fd);
}

TEST_SLOW(a_build_under_a_memory_cap) {
  const int jobs = scale(80);
  const size_t heap = bytes_of_ram(25);  // six are half as much again as there is
  const long out = pages_out();
  char name[32], text[16], kibibytes[16];
  static char bytes[kHeaderBytes];
  uint32_t sums[kHeaders];
  for (int i = 0; i < kHeaders; i++) {
    for (int j = 0; j < kHeaderBytes; j++) bytes[j] = char(scramble(uint64_t(i) << 32 | uint32_t(j)));
    sums[i] = add_to_sum(0, bytes, sizeof bytes);
    snprintf(name, sizeof name, "header.%d", i);
    close(make_file(name, bytes, sizeof bytes));
  }
  int running = 0;
  for (int started = 0; started < jobs || running > 0;) {
    if (started < jobs && running < kAtOnce) {
      snprintf(kibibytes, sizeof kibibytes, "%zu", heap / 1024 * size_t(75 + started % 50) / 100);
      snprintf(text, sizeof text, "%d", started++);
      if (fork() == 0) {
        execl(g_program, g_program, "@compile", text, kibibytes, nullptr);
        _exit(127);
      }
      running++;
      continue;
    }
    int status;
    CHECK_OK(wait(&status));
    CHECK_EQ(status, 0);
    running--;
  }
  if (pages_out() == out) FAIL("nothing went to swap");
  static uint32_t object[kObjectBytes / 4];
  for (int i = 0; i < jobs; i++) {
    const uint32_t sum = sum_for(uint32_t(i), [&](int header) { return sums[header]; });
    snprintf(name, sizeof name, "object.%d", i);
    int fd = int(CHECK_OK(open(name, O_RDONLY)));
    CHECK_EQ(read(fd, object, sizeof object), kObjectBytes);
    close(fd);
    for (uint32_t word = 0; word < kObjectBytes / 4; word++) CHECK_EQ(object[word], word * sum);
  }
}

// ---- a shell
TEST_SLOW(a_shell_answers_beside_a_working_set_of_half_as_much_again) {
  const size_t bytes = bytes_of_ram(150), half = bytes / 2;
  volatile uint32_t* turns = (volatile uint32_t*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  pid_t hogs[2];
  for (int hog = 0; hog < 2; hog++)
    hogs[hog] = in_child([&] {
      char* p = (char*)mmap(nullptr, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(p != MAP_FAILED);
      for (uint32_t turn = 0;; turn++) {
        for (size_t at = 0; at < half; at += kPage) {
          CHECK(turn == 0 || p[at] == char(turn - 1));
          p[at] = char(turn);
        }
        turns[hog] = turn + 1;
      }
    });
  auto check_that_they_run = [&] {
    for (pid_t hog : hogs) CHECK_EQ(waitpid(hog, nullptr, WNOHANG), 0);
  };
  for (; turns[0] < 2 || turns[1] < 2; pause_a_little()) check_that_they_run();
  for (int i = 0; i < 10; i++) {
    pid_t shell = fork();
    if (shell == 0) {
      execl("/bin/sh", "sh", "-c", "set -- $(ls / | wc -l) $(cat /etc/hostname | tr a-z A-Z); [ $1 -gt 5 ] && [ $2 = FAULTLINE ]", nullptr);
      _exit(127);
    }
    CHECK_EXIT(shell, 0);
  }
  check_that_they_run();
  for (pid_t hog : hogs) {
    CHECK_OK(kill(hog, SIGKILL));
    CHECK_EQ(WTERMSIG(wait_for(hog)), SIGKILL);
  }
}

#include "user/tests/harness_main.h"
