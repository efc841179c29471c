// Lecture exercise D5: a process with 2 pages of heap forks; the child changes 128 bytes of heap and 8 of stack.
// What is copied? The kernel's count of free frames, before and after each step, is the answer; without it (on Linux)
// only the faults are shown.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long free_frames() {
    char text[32] = "";
    int fd = open("/proc/faultline/free_frames", O_RDONLY);
    if (fd < 0) return 0;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
    return atol(text);
}
static long faults() { rusage usage; getrusage(RUSAGE_SELF, &usage); return usage.ru_minflt; }

static void report(const char* what, long frames, long taken_faults) { printf("%-54s %3ld frames %3ld faults\n", what, frames, taken_faults); }

int main() {
    setvbuf(stdout, nullptr, _IONBF, 0);
    char* heap = (char*)mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (heap == MAP_FAILED) return 1;
    char stack[8] = "parent";
    memset(heap, 'p', 8192);
    free_frames(), faults(), report("step", 0, 0);                       // everything used below has been touched once
    long before = free_frames();
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
        report("fork, and the child's first steps", before - free_frames(), faults());
        long frames = free_frames(), start = faults(), f;
        memset(heap, 'c', 128);
        f = faults(), report("the child writes 128 bytes of heap: page, page table", frames - free_frames(), f - start);
        frames = free_frames(), start = faults();
        memset(heap + 200, 'c', 128);
        f = faults(), report("the child writes 128 bytes more, same page", frames - free_frames(), f - start);
        frames = free_frames(), start = faults();
        memcpy(stack, "child!!", 8);
        f = faults(), report("the child writes 8 bytes of stack (touched before)", frames - free_frames(), f - start);
        frames = free_frames(), start = faults();
        volatile char c = heap[4096];
        (void)c;
        f = faults(), report("the child reads the other heap page: still shared", frames - free_frames(), f - start);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    usleep(100000);                                                       // what is left of the child goes a moment later
    long frames = free_frames(), start = faults();
    heap[0] = 'P';
    long f = faults();
    report("the parent, sole owner again, writes that page", frames - free_frames(), f - start);
    bool intact = heap[1] == 'p' && heap[200] == 'p' && !strcmp(stack, "parent");
    printf("the parent's memory is %s\n", intact ? "as it was" : "CHANGED");
    return intact && status == 0 ? 0 : 1;
}
