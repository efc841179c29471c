// What a program finds when it starts: which of its memory it may execute, the auxiliary vector, and how much may be passed to it.
#include <elf.h>
#include <sys/personality.h>

#include <cstddef>

#include "user/tests/harness.h"

// ---- what may be executed

// The rights of the region at an address, as /proc/self/maps has them.
static const char* rights_at(const void* address) {
  static char rights[8];
  FILE* maps = fopen("/proc/self/maps", "r");
  CHECK(maps);
  char line[300];
  bool found = false;
  while (!found && fgets(line, sizeof line, maps)) {
    unsigned long start, end;
    CHECK_EQ(sscanf(line, "%lx-%lx %7s", &start, &end, rights), 3);
    found = start <= (unsigned long)address && (unsigned long)address < end;
  }
  fclose(maps);
  if (!found) FAIL("nothing is mapped at %p", address);
  return rights;
}

static int g_data = 1;
static const int g_constant = 1;
HELPER(show_rights) {
  int local = 0;
  say("stack %s", rights_at(&local));
  say(" data %s", rights_at(&g_data));
  say(" constants %s", rights_at(&g_constant));
  void* heap = sbrk(3 * kPage);
  CHECK(heap != (void*)-1);
  say(" heap %s", rights_at((char*)heap + 2 * kPage));
  char* pages = map_pages(3);
  say(" mapped %s", rights_at(pages));
  CHECK_OK(mprotect(pages + kPage, kPage, PROT_READ));
  say(" protected %s", rights_at(pages + kPage));
  CHECK_OK(mprotect(pages + kPage, kPage, PROT_NONE));
  say(" denied %s", rights_at(pages + kPage));
  say(" personality %x\n", personality(~0u) & (READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE));
}

enum StackHeader { kAbsent, kNotExecutable, kExecutable };
// A copy of this program whose header says something else about the stack.
static void make_variant(const char* name, StackHeader what) {
  static char image[4 << 20];
  int in = CHECK_OK(open(g_program, O_RDONLY));
  ssize_t size = CHECK_OK(read(in, image, sizeof image));
  close(in);
  Elf32_Ehdr& header = *(Elf32_Ehdr*)image;
  auto* segments = (Elf32_Phdr*)(image + header.e_phoff);
  Elf32_Phdr* stack = nullptr;
  for (int i = 0; i < header.e_phnum; i++)
    if (segments[i].p_type == PT_GNU_STACK) stack = &segments[i];
  CHECK(stack);
  if (what == kAbsent) stack->p_type = PT_NULL;
  stack->p_flags = what == kExecutable ? PF_R | PF_W | PF_X : PF_R | PF_W;
  close(make_file(name, image, size, 0755));
}

// What `body` runs in a child prints, at most 400 characters.
template <typename F>
static const char* output_of(F body) {
  static char text[400];
  int fd[2];
  CHECK_OK(pipe(fd));
  pid_t child = in_child([&] {
    dup2(fd[1], 1);
    close(fd[0]);
    close(fd[1]);
    body();
    _exit(99);
  });
  close(fd[1]);
  size_t n = 0;
  for (ssize_t r; (r = read(fd[0], text + n, sizeof text - 1 - n)) > 0;) n += r;
  text[n] = 0;
  close(fd[0]);
  CHECK_EXIT(child, 0);
  return text;
}
static const char* rights_of(const char* program) {
  return output_of([&] { execl(program, program, "@show_rights", nullptr); });
}

constexpr const char* kOnlyCode = "stack rw-p data rw-p constants r--p heap rw-p mapped rw-p protected r--p denied ---p personality 0\n";
constexpr const char* kAlsoStack = "stack rwxp data rw-p constants r--p heap rw-p mapped rw-p protected r--p denied ---p personality 0\n";
constexpr const char* kEverything =
    "stack rwxp data rwxp constants r-xp heap rwxp mapped rwxp protected r-xp denied ---p personality 400000\n";

TEST(a_stack_is_executable_only_if_the_file_asks_for_it) {
  make_variant("plain", kNotExecutable);
  make_variant("executable", kExecutable);
  CHECK_STR(rights_of("./plain"), kOnlyCode);
  CHECK_STR(rights_of("./executable"), kAlsoStack);
}

TEST(a_file_that_says_nothing_of_its_stack_may_execute_all_it_can_read) {
  make_variant("silent", kAbsent);
  CHECK_STR(rights_of("./silent"), kEverything);
}

TEST(the_personality_gives_execution_with_reading_and_is_inherited) {
  make_variant("plain", kNotExecutable);
  const char* text = output_of([] {
    CHECK_EQ(personality(READ_IMPLIES_EXEC), 0);
    char* pages = map_pages(1);
    CHECK_STR(rights_at(pages), "rwxp");
    CHECK_EXIT(in_child([] { CHECK_STR(rights_at(map_pages(1)), "rwxp"); }), 0);
    CHECK_EQ(personality(0), READ_IMPLIES_EXEC);
    CHECK_STR(rights_at(map_pages(1)), "rw-p");
    CHECK_EQ(personality(READ_IMPLIES_EXEC), 0);
    execl("./plain", "./plain", "@show_rights", nullptr);
  });
  CHECK_STR(text, "stack rw-p data rwxp constants r-xp heap rwxp mapped rwxp protected r-xp denied ---p personality 400000\n");
}

// ---- the auxiliary vector

// As the kernel gave it: the C library's getauxval() changes some.
static unsigned long entry_of(uint32_t type) {
  char** end = environ;
  while (*end) end++;
  for (auto* entry = (uint32_t*)(end + 1); entry[0] != AT_NULL; entry += 2)
    if (entry[0] == type) return entry[1];
  FAIL("the auxiliary vector has no entry %u", type);
}
static char* text_of(uint32_t type) { return (char*)entry_of(type); }

TEST(the_auxiliary_vector_describes_machine_and_program) {
  uint32_t eax = 1, ebx, ecx = 0, edx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  constexpr uint32_t kApicBit = 1u << 9;  // comes and goes with the processor's mode
  CHECK_EQ(entry_of(AT_HWCAP) | kApicBit, edx | kApicBit);
  CHECK_STR(text_of(AT_PLATFORM), "i686");
  CHECK_EQ(entry_of(AT_PAGESZ), kPage);
  CHECK_EQ(entry_of(AT_CLKTCK), 100);
  CHECK_EQ(entry_of(AT_BASE), 0);
  CHECK_EQ(entry_of(AT_FLAGS), 0);
  CHECK_EQ(entry_of(AT_SECURE), 0);
  auto* headers = (Elf32_Phdr*)entry_of(AT_PHDR);
  CHECK_EQ(entry_of(AT_PHENT), sizeof *headers);
  auto* header = (Elf32_Ehdr*)((char*)headers - sizeof(Elf32_Ehdr));
  CHECK(!memcmp(header->e_ident, ELFMAG, SELFMAG));
  CHECK_EQ(entry_of(AT_PHNUM), header->e_phnum);
  CHECK_EQ(entry_of(AT_ENTRY), header->e_entry);
}
TEST(a_signal_frame_fits_the_stack_that_the_vector_promises) {
  unsigned long limit = entry_of(AT_MINSIGSTKSZ);
  CHECK(limit >= 700 && limit <= 8192);
  static char* lowest;
  static char stack[16384] __attribute__((aligned(16)));
  stack_t alternate = {};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  for (int shift = 0; shift < 16; shift++) {  // whatever the stack's own alignment
    alternate.ss_size = sizeof stack - shift;
    CHECK_OK(sigaltstack(&alternate, nullptr));
    struct sigaction action = {};
    action.sa_sigaction = [](int, siginfo_t*, void*) { lowest = (char*)__builtin_frame_address(0); };
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    CHECK_OK(sigaction(SIGUSR1, &action, nullptr));
    CHECK_OK(raise(SIGUSR1));
    CHECK(lowest > stack && stack + alternate.ss_size - lowest <= (long)limit + 32);
  }
}

HELPER(show_name) { say("%s %s", text_of(AT_EXECFN), g_argv[0]); }
TEST(the_name_that_was_executed_stands_at_the_very_top) {
  CHECK_OK(symlink(g_program, "link"));
  CHECK_STR(output_of([] { execl("./link", "other", "@show_name", nullptr); }), "./link other");
  char* name = text_of(AT_EXECFN);
  uint32_t end;
  memcpy(&end, name + strlen(name) + 1, sizeof end);
  CHECK_EQ(end, 0);
  uint32_t left = kPage - (uintptr_t)(name + strlen(name) + 1) % kPage;
  CHECK(left == 4 || (left == 8 && !on_faultline()));  // one word, and Linux on 64 bits has wider ones
  char* random = text_of(AT_RANDOM);
  CHECK(random < name && random > (char*)environ);
}

// ---- arguments

// Reports argc, the length of the last argument and how many variables there are.
HELPER(show_counts) {
  int variables = 0;
  for (char** e = environ; *e; e++) variables++;
  say("%d %zu %d", g_argc, strlen(g_argv[g_argc - 1]), variables);
}
struct Counter {
  Elf32_Ehdr header = {};
  Elf32_Phdr segment = {};
  uint8_t code[16];
};
// An exec of a script that names this program as its interpreter, and one with no arguments at all.
TEST(a_program_without_arguments_gets_an_empty_name) {
  char line[300];
  snprintf(line, sizeof line, "#!%s @show_counts\n", g_program);
  close(make_file("script", line, strlen(line), 0755));
  char* none[] = {nullptr};
  CHECK_STR(output_of([&] { execve("./script", none, none); }), "3 8 0");
  // exit(argc), or 100 if argv[0] is not the empty string: pop %ebx; pop %eax; cmpb $0, (%eax); je +2; mov $100, %bl; mov $1, %eax; int
  static const uint8_t code[] = {0x5b, 0x58, 0x80, 0x38, 0, 0x74, 2, 0xb3, 100, 0xb8, 1, 0, 0, 0, 0xcd, 0x80};
  Counter image;
  constexpr uint32_t kBase = 0x08048000;
  memcpy(image.header.e_ident,
         "\x7f"
         "ELF\1\1\1",
         7);
  image.header.e_type = ET_EXEC, image.header.e_machine = EM_386, image.header.e_version = 1;
  image.header.e_entry = kBase + offsetof(Counter, code);
  image.header.e_phoff = sizeof image.header, image.header.e_phentsize = sizeof image.segment, image.header.e_phnum = 1;
  image.segment = {PT_LOAD, 0, kBase, kBase, sizeof image, sizeof image, PF_R | PF_X, 0x1000};
  memcpy(image.code, code, sizeof code);
  close(make_file("counter", &image, sizeof image, 0755));
  CHECK_EXIT(in_child([&] {
               execve("./counter", none, none);
               _exit(99);
             }),
             1);
  CHECK_EXIT(in_child([&] {
               syscall(SYS_execve, "./counter", nullptr, nullptr);
               _exit(99);
             }),
             1);
  char* two[] = {(char*)"", (char*)"x", nullptr};
  CHECK_EXIT(in_child([&] {
               execve("./counter", two, none);
               _exit(99);
             }),
             2);
}

static char g_long[131073];  // 128 KiB and one
static char* make_long(size_t length) {
  memset(g_long, 'l', sizeof g_long);
  g_long[length] = 0;
  return g_long;
}
TEST(a_string_may_have_128_kib_with_its_end_and_no_more) {
  for (bool as_variable : {false, true}) {
    char* longest = make_long(131071);
    char* argv[] = {(char*)"x", (char*)"@show_counts", as_variable ? nullptr : longest, nullptr};
    char* envp[] = {as_variable ? longest : nullptr, nullptr};
    CHECK_STR(output_of([&] { execve(g_program, argv, envp); }), as_variable ? "2 12 1" : "3 131071 0");
    make_long(131072);
    CHECK_ERR(execve(g_program, argv, envp), E2BIG);
  }
}

// The strings of all arguments and variables, the pointers to them and the file's name may take a quarter of the stack's limit: at least
// 128 KiB and at most 6 MiB. Finds the largest last argument that is accepted, and compares.
static long largest_total(const char* file, int pieces) {
  static char* argv[70];
  argv[0] = (char*)"x", argv[1] = (char*)"@show_counts";
  char* envp[] = {nullptr};
  static char piece[100001];
  memset(piece, 'p', 100000);
  for (int i = 0; i < pieces; i++) argv[2 + i] = piece;
  argv[2 + pieces] = g_long, argv[3 + pieces] = nullptr;
  long low = 0, high = 131072;  // low is accepted
  while (high - low > 1) {
    long middle = (low + high) / 2;
    make_long(middle);
    int status = wait_for(in_child([&] {
      close(1);
      execve(file, argv, envp);
      _exit(errno == E2BIG ? 7 : 8);
    }));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 8);
    (WEXITSTATUS(status) == 7 ? high : low) = middle;
  }
  long strings = strlen(file) + 1 + 2 + 13 + 100001L * pieces + low + 1;
  return strings + 4 * (3 + pieces);  // with the pointers, each of four bytes
}
static void check_total(rlim_t stack_limit, long expected, int pieces) {
  rlimit limit = {stack_limit, RLIM_INFINITY};
  CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
  long got = largest_total(g_program, pieces);
  // Linux on 64 bits counts eight bytes for each pointer, and all count within a word of the border.
  long tolerance = on_faultline() ? 0 : 4 * (3 + pieces) + 8;
  if (got > expected || got < expected - tolerance) FAIL("%ld bytes may be passed, expected %ld", got, expected);
}
TEST(all_together_may_take_a_quarter_of_the_stacks_limit) {
  check_total(8 << 20, 2 << 20, 20);
  check_total(4 << 20, 1 << 20, 10);
  check_total(RLIM_INFINITY, 6 << 20, 62);
  check_total(64 << 20, 6 << 20, 62);
  check_total(400 << 10, 128 << 10, 1);
}
