// Lecture exercise A4: how much memory do the page tables take? Of a process with one valid page, and of one whose pages are all valid.
// Measured with /proc/PID/pagetables, so on Faultline only.
#include <sys/syscall.h>

#include <vector>

#include "user/demo/exercise.h"
#include "user/include/faultline/page_walk.h"
#include "user/include/faultline/pagetables.h"

using faultline::I386Paging;
using faultline::TableEntry;

constexpr uintptr_t kLonelyPage = 0x10000000, kUserEnd = 0x80000000;
constexpr uint32_t kUserTables = 512;

struct Counted {
  long tables = 0, pages = 0;
};

static std::vector<TableEntry> read_table(int fd, uint64_t number) {
  std::vector<TableEntry> entries(faultline::kDirectoryEntries);
  size_t bytes = entries.size() * sizeof(TableEntry);
  if (pread64(fd, entries.data(), bytes, static_cast<off64_t>(number * bytes)) != static_cast<ssize_t>(bytes)) give_up("pagetables");
  return entries;
}

static Counted count(pid_t pid) {
  int fd = open(("/proc/" + std::to_string(pid) + "/pagetables").c_str(), O_RDONLY);
  if (fd < 0) give_up("/proc/PID/pagetables");
  Counted counted;
  auto directory = read_table(fd, 0);
  for (uint32_t i = 0; i < kUserTables; i++) {
    if (!I386Paging::is_present(directory[i].entry)) continue;
    counted.tables++;
    for (const TableEntry& entry : read_table(fd, 1 + i)) counted.pages += I386Paging::is_present(entry.entry);
  }
  close(fd);
  return counted;
}

// The code of a process that has nothing but this page: it unmaps what is below and above, and stops itself.
extern "C" const char lonely_begin[], lonely_end[];
asm(R"(
    .section .rodata
lonely_begin:
    xorl %ebx, %ebx
    movl $0x10000000, %ecx
    movl $91, %eax              # munmap(0, 0x10000000)
    int $0x80
    movl $0x10001000, %ebx
    movl $0x6ffff000, %ecx
    movl $91, %eax              # munmap(0x10001000, up to the kernel)
    int $0x80
1:  movl $20, %eax              # kill(getpid(), SIGSTOP)
    int $0x80
    movl %eax, %ebx
    movl $19, %ecx
    movl $37, %eax
    int $0x80
    jmp 1b
lonely_end:
    .text
)");

[[noreturn]] static void become_lonely() {
  void* page =
      mmap(reinterpret_cast<void*>(kLonelyPage), kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (page == MAP_FAILED) _exit(1);
  memcpy(page, lonely_begin, lonely_end - lonely_begin);
  reinterpret_cast<void (*)()>(kLonelyPage)();
  __builtin_unreachable();
}

static Counted with_one_page() {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) become_lonely();
  int status;
  if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) give_up("the lonely process");
  Counted counted = count(child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return counted;
}

// Maps whatever is free below the kernel and reads it all: pages of zeroes, so that only the tables cost memory.
static Counted with_all_pages() {
  fflush(stdout);
  int done[2];
  if (pipe(done) != 0) give_up("pipe");
  pid_t child = fork();
  if (child == 0) {
    constexpr uintptr_t kLowest = 0x10000, kPiece = 1 << 16;
    for (uintptr_t at = kLowest; at < kUserEnd; at += kPiece)
      mmap(reinterpret_cast<void*>(at), kPiece, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    // Whoever reads a page of zeroes gets the aligned eight.
    for (uintptr_t at = kLowest; at < kUserEnd; at += 8 * kPage) {
      unsigned char resident;
      if (syscall(SYS_mincore, at, kPage, &resident) == 0) (void)*reinterpret_cast<volatile char*>(at);
    }
    if (write(done[1], "", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(done[1]);
  char byte;
  if (read(done[0], &byte, 1) != 1) give_up("the process that has everything");
  Counted counted = count(child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return counted;
}

int main() {
  question("A4. How many pages do the page tables of a process take, the directory included?");
  Counted one = with_one_page();
  expect("valid pages of a process with one page", 1, one.pages);
  expect("pages of its page tables: 1 + 1", 2, 1 + one.tables);
  expect("bytes", 8192, (1 + one.tables) * static_cast<long>(kPage));
  Counted all = with_all_pages();
  printf("%-64s %9s %9ld\n", "valid pages of a process that has (almost) all of the user's half", "", all.pages);
  expect("page tables: the user's half of the lecture's 1 + 1024", 1 + kUserTables, 1 + all.tables);
  expect("bytes: 2 MiB + 4 KiB", (2 << 20) + 4096, (1 + all.tables) * static_cast<long>(kPage));
  return answer("One page costs two pages of tables; all of them 1 + 1024, of which the kernel's half is 4 MiB pages here.");
}
