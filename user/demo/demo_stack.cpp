// Lecture exercise C4: a 128 KiB array on the stack, one byte written in every 16 KiB. How many pages are allocated?
// Counts the process's own minor faults and resident pages, so it shows the same on Linux.
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static long faults() { rusage usage; getrusage(RUSAGE_SELF, &usage); return usage.ru_minflt; }
static long resident_pages() {
    long size = 0, resident = 0;
    FILE* file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
    if (file) fclose(file);
    return resident;
}

constexpr int kSize = 128 * 1024, kStep = 16 * 1024;
static long g_faults[kSize / kStep];                       // kept until the end: printing touches memory, too

[[gnu::noinline]] static int touch() {
    volatile char array[kSize];
    for (int i = kSize - kStep; i >= 0; i -= kStep) {
        array[i] = 1;
        g_faults[i / kStep] = faults();
    }
    return array[0];
}

int main() {
    resident_pages();                                      // what the C library does for the first time is over
    g_faults[0] = 0;
    long resident = resident_pages(), start = faults();
    touch();
    resident = resident_pages() - resident;
    for (int i = kSize - kStep; i >= 0; i -= kStep) printf("array[%6d] written: %ld faults so far\n", i, g_faults[i / kStep] - start);
    printf("%d bytes of stack, %d bytes written: %ld pages more are resident (%ld bytes)\n", kSize, kSize / kStep, resident, resident * 4096);
    return 0;
}
