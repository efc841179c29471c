// Files that cannot be run: ELF files damaged in every field of their headers, cut short at every border, scripts without an end, and what is no
// program at all. Each is refused and the caller goes on with all that it had; the output names and counts them.
//
// Linux finds some of these faults only after the old image is gone and then kills the process, and some not at all; Faultline has to refuse
// them (`refused`, `stricter`). Where a field has no meaning for a static program, running it is right.
#include <elf.h>
#include <sys/sysmacros.h>

#include <cstddef>

#include "user/tests/harness.h"
#include "user/tests/intact.h"

constexpr uint32_t kBase = 0x08048000;

// A whole program in one page: exit(42).
struct Image {
  Elf32_Ehdr header;
  Elf32_Phdr segments[4];
  uint8_t code[16];
};
static Image good_image() {
  Image image = {};
  Elf32_Ehdr& h = image.header;
  memcpy(h.e_ident, ELFMAG, SELFMAG);
  h.e_ident[EI_CLASS] = ELFCLASS32;
  h.e_ident[EI_DATA] = ELFDATA2LSB;
  h.e_ident[EI_VERSION] = EV_CURRENT;
  h.e_type = ET_EXEC;
  h.e_machine = EM_386;
  h.e_version = EV_CURRENT;
  h.e_entry = kBase + offsetof(Image, code);
  h.e_phoff = offsetof(Image, segments);
  h.e_ehsize = sizeof h;
  h.e_phentsize = sizeof(Elf32_Phdr);
  h.e_phnum = 1;
  image.segments[0] = {PT_LOAD, 0, kBase, kBase, sizeof image, sizeof image, PF_R | PF_X, 0x1000};
  static const uint8_t exit_42[] = {0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80};
  memcpy(image.code, exit_42, sizeof exit_42);
  return image;
}

enum Outcome { kRan, kRefused, kKilled };

// How many have been refused by all tests of this run. The page is there from the start, so that no test seems to have taken it.
static int* make_counter() {
  auto* counter = (int*)map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  *counter = 0;
  return counter;
}
static int* const g_refused = make_counter();
static void note_refused(const char* what, int error) {
  ++*g_refused;
  say("  %-7s %s\n", strerrorname_np(error), what);
}

// What came of executing this name in a child, and the errno when it was refused: then the child still has all that it had.
static Outcome attempt_name(const char* what, const char* path, int* error) {
  Gate gate;
  pid_t child = in_child([&] {
    rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    static Caller caller;
    Caller::furnish();
    caller = Caller();
    execl(path, "image", nullptr);
    int e = errno;
    caller.check(what);
    CHECK_EQ(write(gate.fd[1], &e, sizeof e), sizeof e);
    _exit(43);
  });
  int status = wait_for(child);
  if (WIFSIGNALED(status)) return kKilled;
  if (WEXITSTATUS(status) == 42) return kRan;
  CHECK_EQ(WEXITSTATUS(status), 43);
  CHECK_EQ(read(gate.fd[0], error, sizeof *error), sizeof *error);
  return kRefused;
}
static Outcome attempt(const char* what, const void* data, size_t size, int* error) {
  close(make_file("image", data, size, 0755));
  return attempt_name(what, "./image", error);
}

// Linux refuses it, or notices too late.
static void refused(const char* what, const Image& image, size_t size = sizeof(Image)) {
  int error = 0;
  Outcome outcome = attempt(what, &image, size, &error);
  if (outcome == kRan) FAIL("%s: it ran", what);
  if (outcome == kKilled && on_faultline()) FAIL("%s: the caller was killed", what);
  if (outcome != kRefused) return;
  if (error != ENOEXEC && error != ENOMEM && (on_faultline() || (error != EINVAL && error != EIO)))
    FAIL("%s: %s", what, strerrorname_np(error));
  note_refused(what, error);
}
// Linux runs it.
static void stricter(const char* what, const Image& image, size_t size = sizeof(Image)) {
  if (on_faultline()) refused(what, image, size);
}
static void enoexec(const char* what, const Image& image, size_t size = sizeof(Image)) {
  int error = 0;
  Outcome outcome = attempt(what, &image, size, &error);
  if (outcome != kRefused) FAIL("%s: %s", what, outcome == kRan ? "it ran" : "the caller was killed");
  if (error != ENOEXEC) FAIL("%s: %s", what, strerrorname_np(error));
  note_refused(what, error);
}
static void refused_name(const char* what, const char* path, int expected) {
  int error = 0;
  if (attempt_name(what, path, &error) != kRefused) FAIL("%s: it was not refused", what);
  if (error != expected) FAIL("%s: %s, expected %s", what, strerrorname_np(error), strerrorname_np(expected));
  note_refused(what, error);
}
static void harmless(const char* what, const Image& image) {
  int error = 0;
  Outcome outcome = attempt(what, &image, sizeof image, &error);
  if (outcome == kRefused) FAIL("%s: %s", what, strerrorname_np(error));
  if (outcome == kKilled) FAIL("%s: killed", what);
}
#define WITH(...)           \
  [] {                      \
    Image i = good_image(); \
    __VA_ARGS__;            \
    return i;               \
  }()

TEST(the_whole_image_runs) { harmless("good", good_image()); }

TEST(identification) {
  const char* const names[] = {"first byte of the magic number", "second byte of the magic number", "third byte of the magic number",
                               "fourth byte of the magic number"};
  for (int n = 0; n < 4; n++) {
    Image image = good_image();
    image.header.e_ident[n] ^= 1;
    enoexec(names[n], image);
  }
  stricter("class of 64 bits", WITH(i.header.e_ident[EI_CLASS] = ELFCLASS64));
  stricter("no class", WITH(i.header.e_ident[EI_CLASS] = ELFCLASSNONE));
  stricter("big endian", WITH(i.header.e_ident[EI_DATA] = ELFDATA2MSB));
  stricter("no byte order", WITH(i.header.e_ident[EI_DATA] = ELFDATANONE));
  stricter("version 0", WITH(i.header.e_ident[EI_VERSION] = 0));
  stricter("version 2", WITH(i.header.e_ident[EI_VERSION] = 2));
  enoexec("a whole program for 64 bits", WITH(i.header.e_ident[EI_CLASS] = ELFCLASS64; i.header.e_machine = EM_SPARCV9));
  enoexec("an object file", WITH(i.header.e_type = ET_REL));
  enoexec("a core file", WITH(i.header.e_type = ET_CORE));
  enoexec("no type", WITH(i.header.e_type = ET_NONE));
  enoexec("a type of 0xffff", WITH(i.header.e_type = 0xffff));
  for (int machine : {0, int(EM_SPARC), int(EM_ARM), int(EM_PPC), 0xffff}) {
    Image image = good_image();
    image.header.e_machine = machine;
    char what[40];
    snprintf(what, sizeof what, "machine %d", machine);
    enoexec(what, image);
  }
}

TEST(the_table_of_segments) {
  enoexec("entry size 0", WITH(i.header.e_phentsize = 0));
  enoexec("entry size 31", WITH(i.header.e_phentsize = 31));
  enoexec("entry size 56 (64 bits)", WITH(i.header.e_phentsize = 56));
  enoexec("no segments", WITH(i.header.e_phnum = 0));
  enoexec("2049 segments", WITH(i.header.e_phnum = 2049));
  enoexec("65535 segments", WITH(i.header.e_phnum = 0xffff));
  enoexec("more segments than the file has", WITH(i.header.e_phnum = 100));
  enoexec("table past the end", WITH(i.header.e_phoff = 0x10000));
  enoexec("table at the top of the address space", WITH(i.header.e_phoff = 0xfffffff0));
  enoexec("table at 2 GiB", WITH(i.header.e_phoff = 0x80000000));
  refused("no segment to load", WITH(i.segments[0].p_type = PT_NOTE));
}

TEST(files_cut_short) {
  for (size_t size : {0, 1, 3, 4, 5, 6, 7, 15, 16, 18, 20, 24, 28, 32, 36, 40, 42, 44, 46, 48, 50, 51, 52, 60, 83}) {
    char what[32];
    snprintf(what, sizeof what, "cut after %zu bytes", size);
    enoexec(what, good_image(), size);
  }
  for (size_t size : {sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr), offsetof(Image, code) - 1, offsetof(Image, code), offsetof(Image, code) + 1,
                      sizeof(Image) - 1}) {
    char what[32];
    snprintf(what, sizeof what, "cut after %zu bytes", size);
    stricter(what, good_image(), size);
  }
}

TEST(segment_sizes_and_addresses) {
  refused("more file than memory", WITH(i.segments[0].p_memsz = 16));
  refused("memory wraps around", WITH(i.segments[0].p_memsz = 0xffffffff));
  refused("memory up to the top", WITH(i.segments[0].p_memsz = 0xfffff000 - kBase));
  refused("file size wraps around", WITH(i.segments[0].p_filesz = i.segments[0].p_memsz = 0xfffffff0));
  refused("in the kernel's half", WITH(i.segments[0].p_vaddr = 0xfffff000; i.header.e_entry = 0xfffff000));
  refused("across the kernel's border", WITH(i.segments[0].p_vaddr = 0xffffe000; i.segments[0].p_memsz = 0x4000));
  refused("address and offset disagree within the page", WITH(i.segments[0].p_vaddr += 0x10));
  stricter("the first page", WITH(i.segments[0].p_vaddr = 0; i.header.e_entry = offsetof(Image, code)));
  refused("the last page", WITH(i.segments[0].p_vaddr = 0xfffff000; i.segments[0].p_memsz = 0x1000));
  refused("a second one with more file than memory",
          WITH(i.header.e_phnum = 2; i.segments[1] = {PT_LOAD, 0, kBase + 0x10000, 0, 64, 32, PF_R, 0x1000}));
  refused("a second one with address and offset in disagreement",
          WITH(i.header.e_phnum = 2; i.segments[1] = {PT_LOAD, 4, kBase + 0x10000, 0, 64, 64, PF_R, 0x1000}));
  refused("a second one whose memory wraps around",
          WITH(i.header.e_phnum = 2; i.segments[1] = {PT_LOAD, 0, kBase + 0x10000, 0, 64, 0xfffffff0, PF_R, 0x1000}));
  stricter("a second one past the end of the file",
           WITH(i.header.e_phnum = 2; i.segments[1] = {PT_LOAD, 0x10000, kBase + 0x10000, 0, 64, 64, PF_R, 0x1000}));
  stricter("the same twice", WITH(i.header.e_phnum = 2; i.segments[1] = i.segments[0]));
  stricter("one within another", WITH(i.header.e_phnum = 2; i.segments[1] = {PT_LOAD, 0x20, kBase + 0x20, 0, 16, 16, PF_R, 0x1000}));
  stricter("zeroed memory over another's code", WITH(i.header.e_phnum = 2; i.segments[1] = i.segments[0];
                                                     i.segments[0] = {PT_LOAD, 0, kBase - 0x1000, 0, 64, 0x2000, PF_R | PF_W, 0x1000}));
  stricter("overlapping by one byte",
           WITH(i.header.e_phnum = 2; i.segments[1] = {PT_LOAD, sizeof i - 1, kBase + sizeof i - 1, 0, 1, 1, PF_R, 0x1000}));
  if (!on_faultline()) return;  // Linux on 64 bits gives 32-bit programs more than the lower half
  refused("where the stack goes", WITH(i.header.e_phnum = 2; i.segments[1] = {PT_LOAD, 0, 0x7fff0000, 0, 64, 64, PF_R, 0x1000}));
  refused("at 2 GiB", WITH(i.segments[0].p_vaddr = 0x80000000; i.header.e_entry = 0x80000000 + offsetof(Image, code)));
  refused("across 2 GiB", WITH(i.segments[0].p_memsz = 0x80001000 - kBase));
  refused("a second one in the kernel", WITH(i.header.e_phnum = 2; i.segments[1] = i.segments[0]; i.segments[1].p_vaddr = 0x80100000));
}

TEST(entry_point_outside_the_image) {
  for (uint32_t entry : {0u, 4u, 0x10000u, 0x70000000u, 0x80000000u, 0x80100000u, 0xfffffff0u}) {
    Image image = good_image();
    image.header.e_entry = entry;
    int error = 0;
    char what[32];
    snprintf(what, sizeof what, "entry at %#x", entry);
    Outcome outcome = attempt(what, &image, sizeof image, &error);  // it may be refused; if not, its first instruction faults
    if (outcome == kRan) FAIL("entry %#x ran", entry);
    if (outcome == kKilled && on_faultline()) FAIL("entry %#x: the caller was killed", entry);
    if (outcome == kRefused) note_refused(what, error);
    if (outcome == kRefused && error != ENOEXEC && error != EINVAL) FAIL("entry %#x: %s", entry, strerrorname_np(error));
  }
}

TEST(an_interpreter_that_cannot_be) {
  auto with_interpreter = [](uint32_t offset, uint32_t size) {
    Image image = good_image();
    image.header.e_phnum = 2;
    image.segments[1] = {PT_INTERP, offset, 0, 0, size, size, PF_R, 1};
    return image;
  };
  int error = 0;
  Image image = with_interpreter(0, 1);
  enoexec("a name of one byte", image);
  enoexec("a name of a mebibyte", with_interpreter(0, 1 << 20));
  enoexec("a name that does not end", with_interpreter(0, 4));
  CHECK_EQ(attempt("an interpreter's name", &(image = with_interpreter(0x100000, 20)), sizeof image, &error),
           kRefused);  // past the end of the file
  CHECK(error == EIO || error == ENOEXEC);
  image = with_interpreter(offsetof(Image, segments[2]), 8);
  memcpy(&image.segments[2], "/absent", 8);
  CHECK_EQ(attempt("an interpreter name of absent", &image, sizeof image, &error), kRefused);
  CHECK(error == ENOENT || error == ENOEXEC);
}

TEST(fields_without_a_meaning_here) {
  harmless("section headers that point nowhere",
           WITH(i.header.e_shoff = 0xfffffff0; i.header.e_shnum = 0xffff; i.header.e_shentsize = 7; i.header.e_shstrndx = 0xffff));
  harmless("flags", WITH(i.header.e_flags = 0xffffffff));
  harmless("header size", WITH(i.header.e_ehsize = 0));
  harmless("padding", WITH(memset(i.header.e_ident + EI_PAD, 0xff, EI_NIDENT - EI_PAD)));
  harmless("physical address", WITH(i.segments[0].p_paddr = 0xffffffff));
  harmless("unknown segment types",
           WITH(i.header.e_phnum = 4; i.segments[1].p_type = 0x60000123; i.segments[2] = {PT_NOTE, 0xffffff00, 0, 0, 0xffff, 0, 0, 0}));
  harmless("an empty segment", WITH(i.header.e_phnum = 2; i.segments[1] = {PT_LOAD, 0, kBase + 0x10000, 0, 0, 0, PF_R, 0x1000}));
}

// A page of zeroed memory behind the file's bytes is really zero, also where the file goes on.
TEST(memory_behind_the_segments_file_part_is_zero) {
  static uint8_t file[3 * kPage];
  memset(file, 0xee, sizeof file);
  Image image = good_image();
  image.segments[0].p_memsz = 2 * kPage;
  image.segments[0].p_flags = PF_R | PF_W | PF_X;
  // exit(the byte at kBase + size of the image + 5, which the file has as 0xee): 42 more than zero
  static const uint8_t code[] = {0xa0, 0, 0, 0, 0, 0x0f, 0xb6, 0xd8, 0x83, 0xc3, 42, 0x31, 0xc0, 0x40, 0xcd, 0x80};
  memcpy(image.code, code, sizeof code);
  for (uint32_t address : {uint32_t(kBase + sizeof image + 5), kBase + 2 * kPage - 1}) {
    memcpy(image.code + 1, &address, 4);
    memcpy(file, &image, sizeof image);
    int error = 0;
    CHECK_EQ(attempt("zeroes", file, sizeof file, &error), kRan);
  }
}

// Two segments may lie in one page, as old linkers had it: each has its bytes.
TEST(segments_may_share_a_page) {
  Image image = good_image();
  image.header.e_phnum = 2;
  image.segments[0].p_filesz = image.segments[0].p_memsz = offsetof(Image, code);
  image.segments[0].p_flags = PF_R;
  image.segments[1] = {
      PT_LOAD, offsetof(Image, code), kBase + uint32_t(offsetof(Image, code)), 0, sizeof image.code, sizeof image.code, PF_R | PF_X,
      0x1000};
  harmless("two segments in a page", image);
}

TEST(what_is_no_program) {
  refused_name("no such name", "./absent", ENOENT);
  refused_name("no name", "", ENOENT);
  close(make_file("empty", "", 0, 0755));
  refused_name("an empty file", "./empty", ENOEXEC);
  close(make_file("text", "echo hello\n", 11, 0755));
  refused_name("text", "./text", ENOEXEC);
  close(make_file("zeroes", "\0\0\0\0\0\0\0\0", 8, 0755));
  refused_name("zeroes", "./zeroes", ENOEXEC);
  Image image = good_image();
  close(make_file("forbidden", &image, sizeof image, 0644));
  refused_name("no permission to execute", "./forbidden", EACCES);
  refused_name("a directory", ".", EACCES);
  refused_name("the root", "/", EACCES);
  refused_name("a character device", "/dev/null", EACCES);
  CHECK_OK(mkfifo("pipe", 0777));
  refused_name("a pipe", "./pipe", EACCES);
  CHECK_OK(symlink("nowhere", "dangling"));
  refused_name("a link to nothing", "./dangling", ENOENT);
  CHECK_OK(symlink("circle", "circle"));
  refused_name("a link to itself", "./circle", ELOOP);
  refused_name("a file as directory", "./text/x", ENOTDIR);
  char longer[5000];
  memset(longer, 'n', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  refused_name("a path of 5000 characters", longer, ENAMETOOLONG);
  longer[300] = 0;
  refused_name("a name of 300 characters", longer, ENAMETOOLONG);
  int fd = CHECK_OK(open("text", O_WRONLY));
  close(make_file("image", &image, sizeof image, 0755));
  int writer = CHECK_OK(open("image", O_WRONLY));
  refused_name("a file that is open for writing", "./image", ETXTBSY);
  close(writer);
  close(fd);
}

TEST(scripts_that_lead_nowhere) {
  auto script = [](const char* what, const char* text, int error) {
    close(make_file("script", text, strlen(text), 0755));
    refused_name(what, "./script", error);
  };
  script("#! and nothing", "#!", EACCES);  // as if the empty name were the directory
  script("#! and a newline", "#!\n", ENOEXEC);
  script("#! and blanks", "#! \t  \n", ENOEXEC);
  script("#! and blanks without a newline", "#!    ", EACCES);
  script("#! of a missing file", "#!/absent\n", ENOENT);
  script("#! of a missing file without a newline", "#!/absent", ENOENT);
  script("#! of a directory", "#!/\n", EACCES);
  script("#! of a device", "#!/dev/null\n", EACCES);
  script("#! of itself", "#!./script\n", ELOOP);
  close(make_file("ping", "#!./pong\n", 9, 0755));
  close(make_file("pong", "#!./ping\n", 9, 0755));
  refused_name("#! of two that name each other", "./ping", ELOOP);
  close(make_file("text", "text\n", 5, 0755));
  script("#! of a text", "#!./text\n", ENOEXEC);
  char text[1000] = "#!/";
  memset(text + 3, 'i', 900);
  script("#! longer than what is read, without a newline", text, ENOEXEC);
  text[400] = '\n';
  script("#! longer than what is read", text, ENOEXEC);
  memset(text + 2, ' ', 900);
  script("#! and 900 blanks", text, ENOEXEC);
  // Five scripts in a row are allowed, six are not.
  Image image = good_image();
  close(make_file("level0", &image, sizeof image, 0755));
  for (int level = 1; level <= 6; level++) {
    char name[20], line[20];
    snprintf(name, sizeof name, "level%d", level);
    snprintf(line, sizeof line, "#!./level%d\n", level - 1);
    close(make_file(name, line, strlen(line), 0755));
  }
  int error = 0;
  CHECK_EQ(attempt_name("five scripts", "./level5", &error), kRan);
  refused_name("six scripts in a row", "./level6", ELOOP);
}

// The same image with one random byte of its headers changed, many times: any outcome but a machine that stops.
TEST(random_damage) {
  unsigned seed = 12345;
  auto next = [&] { return seed = seed * 1103515245 + 12345, seed >> 8; };
  for (int round = 0; round < scale(400); round++) {
    Image image = good_image();
    image.header.e_phnum = 1 + next() % 4;
    for (int n = next() % 3; n >= 0; n--) ((uint8_t*)&image)[next() % offsetof(Image, code)] = next();
    close(make_file("image", &image, sizeof image, 0755));
    pid_t child = in_child([] {
      rlimit none = {0, 0};
      setrlimit(RLIMIT_CORE, &none);
      alarm(20);
      execl("./image", "image", nullptr);
      _exit(43);
    });
    wait_for(child);
  }
}

TEST(at_least_a_hundred_were_refused) {
  if (*g_refused == 0) SKIP("the other tests count");
  say("  %d kinds of files were refused, and the caller had all that it had before\n", *g_refused);
  if (on_faultline()) CHECK(*g_refused >= 100);
}
