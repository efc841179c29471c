// execve: what the new program is given, what survives, what is refused, scripts. (Malformed ELF files: elf.cpp.)
#include "user/tests/harness.h"
#include <sys/auxv.h>

// Prints its arguments and environment, one a line, so that the caller can compare.
HELPER(show) {
  for (int i = 2; i < g_argc; i++) say("[%s]", g_argv[i]);
  for (char** e = environ; *e; e++) say("{%s}", *e);
}

// Runs a program with a given argv and environment and collects its standard output; 200 is an exec that failed.
static int output_of(const char* path, const char* const* argv, const char* const* envp, char* text, size_t size) {
  int fd[2];
  CHECK_OK(pipe(fd));
  pid_t child = in_child([&] {
    dup2(fd[1], 1);
    close(fd[0]);
    close(fd[1]);
    execve(path, (char**)argv, (char**)envp);
    _exit(200);
  });
  close(fd[1]);
  size_t n = 0;
  for (ssize_t r; (r = read(fd[0], text + n, size - 1 - n)) > 0;) n += r;
  text[n] = 0;
  close(fd[0]);
  return WEXITSTATUS(wait_for(child));
}

TEST(arguments_and_environment_arrive) {
  const char* argv[] = {"any name", "@show", "one", "", "three words here", nullptr};
  const char* envp[] = {"A=1", "EMPTY=", "not an assignment", nullptr};
  char text[200];
  CHECK_EQ(output_of(g_program, argv, envp, text, sizeof text), 0);
  CHECK_STR(text, "[one][][three words here]{A=1}{EMPTY=}{not an assignment}");
}

// xv6: bigargtest; the strings need many pages.
HELPER(count_long) {
  int good = 0;
  for (int i = 2; i < g_argc; i++) good += strlen(g_argv[i]) == 1000 && g_argv[i][999] == 'z';
  _exit(good == g_argc - 2 ? good : 255);
}
TEST(arguments_over_many_pages) {
  static char word[1001], *argv[104] = {word, (char*)"@count_long"};
  memset(word, 'z', 1000);
  for (int i = 2; i < 102; i++) argv[i] = word;
  char* envp[] = {nullptr};
  for (int round = 0; round < 2; round++)
    CHECK_EXIT(in_child([&] {
                 execve(g_program, argv, envp);
                 _exit(254);
               }),
               100);
}
HELPER(argc_mod_200) { _exit(g_argc % 200); }
TEST(ten_thousand_arguments) {
  static char* argv[10001] = {(char*)"x", (char*)"@argc_mod_200"};
  for (int i = 2; i < 10000; i++) argv[i] = (char*)"a";
  CHECK_EXIT(in_child([&] {
               execv(g_program, argv);
               _exit(254);
             }),
             0);
}
TEST(one_string_of_128_kib_or_too_many_in_all_is_e2big) {
  static char big[131073];
  memset(big, 'b', sizeof big - 1);
  char* argv[] = {(char*)"x", (char*)"@argc_mod_200", big, nullptr};
  CHECK_ERR(execv(g_program, argv), E2BIG);
  big[131071] = 0;  // the longest that is allowed
  CHECK_EXIT(in_child([&] {
               execv(g_program, argv);
               _exit(254);
             }),
             3);
  static char* many[100];
  for (int i = 2; i < 99; i++) many[i] = big;  // 12 MiB: more than a quarter of the stack's limit
  many[0] = argv[0], many[1] = argv[1];
  CHECK_ERR(execv(g_program, many), E2BIG);
}

TEST(the_initial_stack_is_laid_out_as_the_abi_says) {
  CHECK(g_argv[g_argc] == nullptr);
  CHECK(environ == g_argv + g_argc + 1);
  CHECK_EQ(getauxval(AT_PAGESZ), kPage);
  CHECK_EQ(getauxval(AT_UID), getuid());
  CHECK_EQ(getauxval(AT_EUID), geteuid());
  CHECK_EQ(getauxval(AT_GID), getgid());
  CHECK_EQ(getauxval(AT_SECURE), 0);
  CHECK(getauxval(AT_PHDR) != 0);
  CHECK(getauxval(AT_PHNUM) > 0);
  CHECK_EQ(getauxval(AT_PHENT), 32);
  CHECK(getauxval(AT_ENTRY) != 0);
  CHECK(getauxval(AT_RANDOM) != 0);
  CHECK_EQ(getauxval(AT_CLKTCK), sysconf(_SC_CLK_TCK));
}
HELPER(random_bytes) { CHECK_EQ(write(1, (void*)getauxval(AT_RANDOM), 16), 16); }
TEST(two_programs_get_different_random_bytes) {
  const char *argv[] = {"x", "@random_bytes", nullptr}, *envp[] = {nullptr};
  char a[40], b[40];
  CHECK_EQ(output_of(g_program, argv, envp, a, sizeof a), 0);
  CHECK_EQ(output_of(g_program, argv, envp, b, sizeof b), 0);
  CHECK(memcmp(a, b, 16) != 0);
}

// xv6: bsstest
static char g_bss[100000];
static int g_data[1000] = {1, 2, 3};
HELPER(check_fresh) {
  for (char c : g_bss) CHECK_EQ(c, 0);
  CHECK_EQ(g_data[0] + g_data[1] + g_data[2] + g_data[3], 6);
}
TEST(a_new_image_has_fresh_data_and_zeroed_bss) {
  memset(g_bss, 1, sizeof g_bss);
  g_data[0] = 99;
  for (int i = 0; i < 3; i++) CHECK_EXIT(run_self("check_fresh"), 0);
}

HELPER(check_state) {
  CHECK_EQ(getpid(), atoi(g_argv[2]));
  CHECK_ERR(fcntl(atoi(g_argv[3]), F_GETFD), EBADF);
  char c;
  CHECK_EQ(read(atoi(g_argv[4]), &c, 1), 1);
  CHECK_EQ(c, 'd');  // the open file kept its offset
  struct sigaction action;
  sigaction(SIGUSR1, nullptr, &action);
  CHECK(action.sa_handler == SIG_DFL);
  sigaction(SIGUSR2, nullptr, &action);
  CHECK(action.sa_handler == SIG_IGN);
  sigset_t set;
  sigprocmask(SIG_BLOCK, nullptr, &set);
  CHECK(sigismember(&set, SIGTERM) && !sigismember(&set, SIGINT));
  sigpending(&set);
  CHECK(sigismember(&set, SIGTERM));
  stack_t stack;
  sigaltstack(nullptr, &stack);
  CHECK(stack.ss_flags & SS_DISABLE);
  CHECK_EQ(umask(0), 022);
  CHECK(alarm(0) > 500);
  char cwd[100];
  CHECK_STR(getcwd(cwd, sizeof cwd), "/");
}
TEST(what_survives_exec_and_what_does_not) {
  int gone = make_file("a", "abcdef", 6), kept = make_file("b", "abcdef", 6);
  fcntl(gone, F_SETFD, FD_CLOEXEC);
  lseek(kept, 3, SEEK_SET);
  signal(SIGUSR1, [](int) {});
  signal(SIGUSR2, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_SETMASK, &set, nullptr);
  raise(SIGTERM);
  stack_t stack = {malloc(16384), 0, 16384};
  CHECK_OK(sigaltstack(&stack, nullptr));
  umask(022);
  alarm(1000);
  CHECK_OK(chdir("/"));
  char pid[12], a[12], b[12];
  snprintf(pid, sizeof pid, "%d", getpid());
  snprintf(a, sizeof a, "%d", gone);
  snprintf(b, sizeof b, "%d", kept);
  execl(g_program, g_program, "@check_state", pid, a, b, nullptr);
  FAIL("exec: %s", strerrorname_np(errno));
}

TEST(refusals_leave_the_caller_running) {
  char* argv[] = {(char*)"x", (char*)"@argc_mod_200", nullptr};
  char* envp[] = {nullptr};
  auto refused = [&](const char* path, int error) { CHECK_ERR(execve(path, argv, envp), error); };
  refused("absent", ENOENT);
  refused("", ENOENT);
  refused("/", EACCES);
  refused("/dev/null", EACCES);
  make_text("plain", "not a program");
  refused("plain", EACCES);  // no execute bit, not even for root
  chmod("plain", 0755);
  refused("plain", ENOEXEC);
  refused("plain/x", ENOTDIR);
  close(make_file("empty", "", 0, 0755));
  refused("empty", ENOEXEC);
  CHECK_OK(symlink("loop", "loop"));
  refused("loop", ELOOP);
  char longer[4200];
  memset(longer, 'a', sizeof longer);
  longer[4199] = 0;
  refused(longer, ENAMETOOLONG);
  CHECK_ERR(execve(g_program, (char**)8, envp), EFAULT);
  CHECK_ERR(execve(g_program, argv, (char**)0x80000000), EFAULT);
  char* bad[] = {argv[0], argv[1], (char*)0x80000000, nullptr};
  CHECK_ERR(execve(g_program, bad, envp), EFAULT);
  CHECK_ERR(execve((char*)0x10, argv, envp), EFAULT);
}

static void copy_program(const char* to, int mode) {
  int in = CHECK_OK(open(g_program, O_RDONLY)), out = make_file(to, "", 0, mode);
  char buffer[8192];
  for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;) CHECK_EQ(write(out, buffer, n), n);
  close(in);
  close(out);
  chmod(to, mode);
}
TEST(a_running_program_cannot_be_written_and_an_open_one_not_run) {
  copy_program("prog", 0755);
  int fd = CHECK_OK(open("prog", O_WRONLY));
  CHECK_ERR(execl("prog", "prog", "@argc_mod_200", nullptr), ETXTBSY);
  close(fd);
  Gate gate;
  pid_t child = in_child([&] {
    dup2(gate.fd[0], 0);
    execl("./prog", "prog", "@reads_one_byte", nullptr);
    _exit(99);
  });
  while (1) {
    char link[300] = "", path[40];
    snprintf(path, sizeof path, "/proc/%d/exe", child);
    if (readlink(path, link, sizeof link - 1) > 5 && strstr(link, "/prog")) break;
    pause_a_little();
  }
  CHECK_ERR(open("prog", O_WRONLY), ETXTBSY);
  CHECK_ERR(truncate("prog", 0), ETXTBSY);
  CHECK_OK(unlink("prog"));  // its name may go; it runs on
  gate.open();
  CHECK_EXIT(child, 5);
}
// A file is open for writing as long as any descriptor or mapping of that opening is left, wherever it is.
TEST(every_way_to_keep_a_file_open_for_writing_keeps_it_from_running) {
  copy_program("prog", 0755);
  auto runs = [] {
    return WEXITSTATUS(wait_for(in_child([] {
      execl("./prog", "prog", "@argc_mod_200", nullptr);
      _exit(errno);
    })));
  };
  CHECK_EQ(runs(), 2);
  int fd = CHECK_OK(open("prog", O_RDWR));
  CHECK_EQ(runs(), ETXTBSY);
  int copy = CHECK_OK(dup(fd));
  close(fd);
  CHECK_EQ(runs(), ETXTBSY);
  char* shared = map_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED, copy);
  close(copy);
  CHECK_EQ(runs(), ETXTBSY);
  Gate gate;
  pid_t child = in_child([&] { gate.wait(); });  // has inherited the mapping
  CHECK_OK(munmap(shared, kPage));
  CHECK_EQ(runs(), ETXTBSY);
  gate.open();
  CHECK_EXIT(child, 0);
  CHECK_EQ(runs(), 2);
  fd = CHECK_OK(open("prog", O_RDONLY));
  map_pages(1, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd)[0] = 1;  // a private copy is no writing
  CHECK_EQ(runs(), 2);
  CHECK_OK(truncate("prog", 10));  // the file itself is: it lies still
  CHECK_EQ(runs(), ENOEXEC);
}

// Many open it for writing, many run it, at the same time: each attempt succeeds or says ETXTBSY, and what runs is whole.
TEST(writers_and_execs_race_for_a_file) {
  copy_program("prog", 0755);
  pid_t children[4];
  for (int who = 0; who < 4; who++)
    children[who] = in_child([&] {
      for (int i = 0; i < scale(100); i++) {
        if (who < 2) {
          int status = WEXITSTATUS(wait_for(in_child([] {
            execl("./prog", "prog", "@argc_mod_200", nullptr);
            _exit(errno);
          })));
          CHECK(status == 2 || status == ETXTBSY);
        } else if (int fd = open("prog", O_RDWR); fd >= 0) {
          char byte;
          CHECK_EQ(pread(fd, &byte, 1, 0), 1);
          CHECK_EQ(pwrite(fd, &byte, 1, 0), 1);
          close(fd);
        } else {
          CHECK_EQ(errno, ETXTBSY);
        }
      }
    });
  for (pid_t child : children) CHECK_EXIT(child, 0);
  CHECK_EXIT(in_child([] {
               execl("./prog", "prog", "@argc_mod_200", nullptr);
               _exit(99);
             }),
             2);
}

HELPER(reads_one_byte) {
  char c;
  _exit(read(0, &c, 1) == 1 ? 5 : 6);
}

HELPER(show_ids) { say("%d %d %lu", getuid(), geteuid(), getauxval(AT_SECURE)); }
TEST(the_set_user_id_bit_changes_the_effective_user) {
  if (getuid()) SKIP("needs root");
  CHECK_OK(chmod(".", 0755));
  copy_program("prog", 0755);
  CHECK_OK(chown("prog", 1234, 1234));
  CHECK_OK(chmod("prog", 04755));
  const char *argv[] = {"prog", "@show_ids", nullptr}, *envp[] = {nullptr};
  char text[100];
  CHECK_EQ(output_of("./prog", argv, envp, text, sizeof text), 0);
  CHECK_STR(text, "0 1234 1");
  CHECK_OK(chmod("prog", 0700));
  CHECK_EXIT(in_child([&] {
               CHECK_OK(setuid(999));
               CHECK_ERR(execve("./prog", (char**)argv, (char**)envp), EACCES);
             }),
             0);
}

// ---- scripts
static void make_script(const char* name, const char* text) {
  make_text(name, text);
  chmod(name, 0755);
}
TEST(a_script_runs_its_interpreter) {
  char line[400], text[200], expected[200];
  snprintf(line, sizeof line, "#! %s   @show  \nignored\n", g_program);
  make_script("script", line);
  const char *argv[] = {"not seen", "a", "b", nullptr}, *envp[] = {"E=1", nullptr};
  CHECK_EQ(output_of("./script", argv, envp, text, sizeof text), 0);
  CHECK_STR(text, "[./script][a][b]{E=1}");
  const char* none[] = {nullptr};
  CHECK_EQ(output_of("./script", none, none, text, sizeof text), 0);
  CHECK_STR(text, "[./script]");
  snprintf(line, sizeof line, "#!%s\t@show one argument", g_program);  // everything after the blank is one argument, no newline needed
  make_script("script2", line);
  snprintf(expected, sizeof expected, "%d", WEXITSTATUS(wait_for(in_child([] {
             execl("./script2", "s", nullptr);
             _exit(99);
           }))));
  CHECK_STR(expected, "126");
}
TEST(scripts_nest_only_so_deep) {
  char line[400], text[200];
  snprintf(line, sizeof line, "#!%s @show\n", g_program);
  make_script("s0", line);
  for (int i = 1; i <= 6; i++) {
    char name[8], inner[20];
    snprintf(name, sizeof name, "s%d", i);
    snprintf(inner, sizeof inner, "#!./s%d\n", i - 1);
    make_script(name, inner);
  }
  const char *argv[] = {"x", "arg", nullptr}, *envp[] = {nullptr};
  CHECK_EQ(output_of("./s1", argv, envp, text, sizeof text), 0);
  CHECK_STR(text, "[./s0][./s1][arg]");
  CHECK_ERR(execve("./s6", (char**)argv, (char**)envp), ELOOP);
  make_script("self", "#!./self\n");
  CHECK_ERR(execve("./self", (char**)argv, (char**)envp), ELOOP);
}
TEST(broken_scripts_are_refused) {
  char* argv[] = {(char*)"x", (char*)"@argc_mod_200", nullptr};
  make_script("s", "#!/absent/interpreter\n");
  CHECK_ERR(execv("./s", argv), ENOENT);
  make_script("s", "#!\n");
  CHECK_ERR(execv("./s", argv), ENOEXEC);
  make_script("s", "#!   \n");
  CHECK_ERR(execv("./s", argv), ENOEXEC);
  make_script("s", "#! /\n");
  CHECK_ERR(execv("./s", argv), EACCES);
  char longer[1000] = "#!";
  memset(longer + 2, '/', 900);  // the interpreter's name does not fit
  make_script("s", longer);
  CHECK_ERR(execv("./s", argv), ENOEXEC);
}
