// The harness's runner: options, one process and one directory for each test, the watchdog, the count of free frames.
#pragma once
#include "user/tests/harness.h"

inline void remove_tree(int at, const char* name) {
    if (!unlinkat(at, name, 0)) return;
    fchmodat(at, name, 0700, 0);
    if (int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW); fd >= 0) {
        DIR* dir = fdopendir(fd);
        while (dirent* entry = readdir(dir))
            if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) remove_tree(fd, entry->d_name);
        closedir(dir);
    }
    unlinkat(at, name, AT_REMOVEDIR);
}

// Free physical frames with every cache empty; -1 where the kernel doesn't say.
inline long free_frames() {
    int fd = open("/proc/faultline/free_frames", O_RDONLY);
    if (fd < 0) return -1;
    close(fd);
    sync();
    if ((fd = open("/proc/sys/vm/drop_caches", O_WRONLY)) >= 0) {
        if (write(fd, "3\n", 2) < 0) say("# drop_caches: %s\n", strerrorname_np(errno));
        close(fd);
    }
    char text[32] = "";
    if ((fd = open("/proc/faultline/free_frames", O_RDONLY)) < 0 || read(fd, text, sizeof text - 1) <= 0) return -1;
    close(fd);
    return atol(text);
}

inline volatile pid_t g_running;
inline volatile bool g_hung;
inline void watchdog(int) { g_hung = true; kill(-g_running, SIGKILL); kill(g_running, SIGKILL); }

inline int run_in_child(const Test& test, const char* directory) {
    g_hung = false;
    pid_t pid = fork();
    g_running = pid;
    if (pid < 0) { say("FAIL %s: fork: %s\n", test.name, strerrorname_np(errno)); return 1; }
    if (pid == 0) {
        setpgid(0, 0);
        signal(SIGALRM, SIG_DFL);
        if (mkdir(directory, 0755) || chdir(directory)) FAIL("%s: %s", directory, strerrorname_np(errno));
        test.run();
        _exit(0);
    }
    setpgid(pid, pid);
    alarm(test.seconds);
    int status = 0;
    while (waitpid(pid, &status, 0) != pid) {}
    alarm(0);
    kill(-pid, SIGKILL);
    for (int i = 0; i < 2000 && !kill(-pid, 0); i++) pause_a_little();   // what it left behind is gone before frames are counted
    remove_tree(AT_FDCWD, directory);
    if (g_hung) say("FAIL %s: still running after %u seconds\n", test.name, test.seconds);
    else if (WIFSIGNALED(status)) say("FAIL %s: died by signal %d\n", test.name, WTERMSIG(status));
    else if (WEXITSTATUS(status) > 1 && WEXITSTATUS(status) != kSkipped) say("FAIL %s: exit status %d\n", test.name, WEXITSTATUS(status));
    return g_hung || WIFSIGNALED(status) ? 1 : WEXITSTATUS(status);
}

// Runs one test; a verdict on leaked frames only if nothing else is wrong. Frames that are freed a moment later are waited for.
// A cache of the kernel's may end up a few frames larger once; a leak takes more every time, so a suspect runs again.
inline int run_one(const Test& test) {
    char directory[256];
    snprintf(directory, sizeof directory, "%s/%s.%d", g_directory, test.name, getpid());
    g_test = test.name;
    const long before = free_frames();
    long lowest = before;
    for (int run = 0; run < 5; run++) {
        if (int result = run_in_child(test, directory)) return result;
        long after = free_frames();
        for (int i = 0; i < 50 && after < lowest; i++) pause_a_little(), after = free_frames();
        if (after >= lowest) { say("ok %s\n", test.name); return 0; }
        lowest = after;
    }
    say("FAIL %s: it leaks: %ld frames free before, %ld after 5 runs\n", test.name, before, lowest);
    return 1;
}

inline bool chosen(const char* name, int first) {
    if (first == g_argc) return true;
    for (int i = first; i < g_argc; i++) if (!strcmp(name, g_argv[i])) return true;
    return false;
}

int main(int argc, char** argv) {
    static char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    g_program = n > 0 ? program : argv[0];
    g_argc = argc, g_argv = argv;
    if (argc > 1 && argv[1][0] == '@') {
        for (Test* t = Test::first; t; t = t->next)
            if (t->helper && !strcmp(t->name, argv[1] + 1)) { g_test = t->name; t->run(); return 0; }
        return 126;
    }
    int first = 1;
    bool list = false;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (!strcmp(argv[first], "--list")) list = true;
        else if (!strcmp(argv[first], "-d") && first + 1 < argc) g_directory = argv[++first];
        else if (!strcmp(argv[first], "-n") && first + 1 < argc) g_scale = atoi(argv[++first]);
        else { say("usage: %s [-d DIR] [-n COUNT] [--list | NAME...]\n", argv[0]); return 2; }
    }
    struct sigaction action = {};
    action.sa_handler = watchdog;
    sigaction(SIGALRM, &action, nullptr);
    static const Test warm_up("nothing", [] {}, 60, true);     // the first fork fills caches of the kernel's own
    if (!list && free_frames() >= 0) { char d[256]; snprintf(d, sizeof d, "%s/warm-up.%d", g_directory, getpid()); run_in_child(warm_up, d); }
    int passed = 0, failed = 0, skipped = 0;
    for (Test* t = Test::first; t; t = t->next) {
        if (t->helper || !chosen(t->name, first)) continue;
        if (list) { say("%s\n", t->name); continue; }
        int result = run_one(*t);
        (result == 0 ? passed : result == kSkipped ? skipped : failed)++;
    }
    if (list) return 0;
    say("%s: %d passed, %d failed, %d skipped\n", argv[0], passed, failed, skipped);
    return failed || passed + skipped == 0;
}
