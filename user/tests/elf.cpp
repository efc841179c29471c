// ELF files that are damaged in every field of their headers: each is refused and the caller goes on, or it is harmless.
//
// Linux finds some of these faults only after the old image is gone and then kills the process; Faultline has to
// refuse them all (`refused`). Where a field has no meaning for a static program, running it is right as well.
#include "user/tests/harness.h"
#include <cstddef>
#include <elf.h>

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
// What came of executing this file in a child, and the errno when it was refused. The child proves that it is intact
// after a refusal: its data, its stack and its open files.
static Outcome attempt(const void* data, size_t size, int* error) {
    close(make_file("image", data, size, 0755));
    Gate gate;
    pid_t child = in_child([&] {
        int local = 1234;
        execl("./image", "image", nullptr);
        int e = errno;
        CHECK_EQ(local, 1234);
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

static void refused(const char* what, const Image& image, size_t size = sizeof(Image)) {
    int error = 0;
    Outcome outcome = attempt(&image, size, &error);
    if (outcome == kRan) FAIL("%s: it ran", what);
    if (outcome == kKilled && on_faultline()) FAIL("%s: the caller was killed", what);
    if (outcome == kRefused && error != ENOEXEC && error != ENOMEM && error != EINVAL && error != EIO) FAIL("%s: %s", what, strerrorname_np(error));
    if (outcome == kRefused && on_faultline() && error != ENOEXEC && error != ENOMEM) FAIL("%s: %s", what, strerrorname_np(error));
}
static void enoexec(const char* what, const Image& image, size_t size = sizeof(Image)) {
    int error = 0;
    Outcome outcome = attempt(&image, size, &error);
    if (outcome != kRefused) FAIL("%s: %s", what, outcome == kRan ? "it ran" : "the caller was killed");
    if (error != ENOEXEC) FAIL("%s: %s", what, strerrorname_np(error));
}
static void harmless(const char* what, const Image& image) {
    int error = 0;
    Outcome outcome = attempt(&image, sizeof image, &error);
    if (outcome == kRefused) FAIL("%s: %s", what, strerrorname_np(error));
    if (outcome == kKilled) FAIL("%s: killed", what);
}
#define WITH(...) [] { Image i = good_image(); __VA_ARGS__; return i; }()

TEST(the_whole_image_runs) { harmless("good", good_image()); }

TEST(identification) {
    for (int n = 0; n < 4; n++) {
        Image image = good_image();
        image.header.e_ident[n] ^= 1;
        enoexec("magic", image);
    }
    enoexec("an object file", WITH(i.header.e_type = ET_REL));
    enoexec("a core file", WITH(i.header.e_type = ET_CORE));
    enoexec("no type", WITH(i.header.e_type = ET_NONE));
    enoexec("a type of 0xffff", WITH(i.header.e_type = 0xffff));
    for (int machine : {0, int(EM_SPARC), int(EM_ARM), int(EM_PPC), 0xffff}) {
        Image image = good_image();
        image.header.e_machine = machine;
        enoexec("machine", image);
    }
}

TEST(the_table_of_segments) {
    enoexec("entry size 0", WITH(i.header.e_phentsize = 0));
    enoexec("entry size 31", WITH(i.header.e_phentsize = 31));
    enoexec("entry size 56 (64 bits)", WITH(i.header.e_phentsize = 56));
    enoexec("no segments", WITH(i.header.e_phnum = 0));
    enoexec("65535 segments", WITH(i.header.e_phnum = 0xffff));
    enoexec("more segments than the file has", WITH(i.header.e_phnum = 100));
    enoexec("table past the end", WITH(i.header.e_phoff = 0x10000));
    enoexec("table at the top of the address space", WITH(i.header.e_phoff = 0xfffffff0));
    enoexec("table at 2 GiB", WITH(i.header.e_phoff = 0x80000000));
    refused("no segment to load", WITH(i.segments[0].p_type = PT_NOTE));
}

TEST(files_cut_short) {
    for (size_t size : {1, 3, 4, 16, 51, 52, 60, 83}) {
        char what[32];
        snprintf(what, sizeof what, "%zu bytes", size);
        enoexec(what, good_image(), size);
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
    if (!on_faultline()) return;     // Linux on 64 bits gives 32-bit programs more than the lower half
    refused("at 2 GiB", WITH(i.segments[0].p_vaddr = 0x80000000; i.header.e_entry = 0x80000000 + offsetof(Image, code)));
    refused("across 2 GiB", WITH(i.segments[0].p_memsz = 0x80001000 - kBase));
    refused("a second one in the kernel", WITH(i.header.e_phnum = 2; i.segments[1] = i.segments[0]; i.segments[1].p_vaddr = 0x80100000));
}

TEST(entry_point_outside_the_image) {
    for (uint32_t entry : {0u, 4u, 0x10000u, 0x70000000u, 0x80000000u, 0x80100000u, 0xfffffff0u}) {
        Image image = good_image();
        image.header.e_entry = entry;
        int error = 0;
        Outcome outcome = attempt(&image, sizeof image, &error);        // it may be refused; if not, its first instruction faults
        if (outcome == kRan) FAIL("entry %#x ran", entry);
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
    CHECK_EQ(attempt(&(image = with_interpreter(0x100000, 20)), sizeof image, &error), kRefused);   // past the end of the file
    CHECK(error == EIO || error == ENOEXEC);
    image = with_interpreter(offsetof(Image, segments[2]), 8);
    memcpy(&image.segments[2], "/absent", 8);
    CHECK_EQ(attempt(&image, sizeof image, &error), kRefused);
    CHECK(error == ENOENT || error == ENOEXEC);
}

TEST(fields_without_a_meaning_here) {
    harmless("section headers that point nowhere", WITH(i.header.e_shoff = 0xfffffff0; i.header.e_shnum = 0xffff; i.header.e_shentsize = 7; i.header.e_shstrndx = 0xffff));
    harmless("flags", WITH(i.header.e_flags = 0xffffffff));
    harmless("header size", WITH(i.header.e_ehsize = 0));
    harmless("padding", WITH(memset(i.header.e_ident + EI_PAD, 0xff, EI_NIDENT - EI_PAD)));
    harmless("physical address", WITH(i.segments[0].p_paddr = 0xffffffff));
    harmless("unknown segment types", WITH(i.header.e_phnum = 4; i.segments[1].p_type = 0x60000123; i.segments[2] = {PT_NOTE, 0xffffff00, 0, 0, 0xffff, 0, 0, 0}));
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
        CHECK_EQ(attempt(file, sizeof file, &error), kRan);
    }
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
        pid_t child = in_child([] { rlimit none = {0, 0}; setrlimit(RLIMIT_CORE, &none); alarm(20); execl("./image", "image", nullptr); _exit(43); });
        wait_for(child);
    }
}
