// Lecture exercise D5: code 2 pages, globals 1, heap 2, stack 1; fork; the child changes 128 bytes of heap and 8 of stack. How many physical
// pages do both have? The process that is measured is fork_specimen_free, which has exactly that layout.
#include <dirent.h>

#include "user/demo/exercise.h"

static std::string specimen_path() {
  char self[4096] = "";
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) give_up("/proc/self/exe");
  std::string path = self;
  return path.substr(0, path.rfind('/')) + "/fork_specimen_free";
}

// State and parent of a process; false if there is none.
static bool look_at(pid_t pid, char& state, pid_t& parent) {
  char text[256] = "";
  int fd = open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY);
  if (fd < 0) return false;
  bool found = read(fd, text, sizeof text - 1) > 0;
  close(fd);
  const char* after_name = strrchr(text, ')');
  return found && after_name && sscanf(after_name + 1, " %c %d", &state, &parent) == 2;
}

static void wait_until_stopped(pid_t pid) {
  char state;
  pid_t parent;
  while (look_at(pid, state, parent) && state != 'T') usleep(1000);
}

static pid_t wait_for_child_of(pid_t wanted) {
  for (;; usleep(1000)) {
    DIR* processes = opendir("/proc");
    if (!processes) give_up("/proc");
    pid_t found = 0;
    while (dirent* entry = readdir(processes)) {
      char state;
      pid_t pid = atoi(entry->d_name), parent;
      if (pid > 0 && look_at(pid, state, parent) && parent == wanted) found = pid;
    }
    closedir(processes);
    if (found) return found;
  }
}

// The frames behind all regions of a process.
static std::set<uint64_t> all_frames(pid_t pid) {
  std::set<uint64_t> frames;
  FILE* maps = fopen(("/proc/" + std::to_string(pid) + "/maps").c_str(), "r");
  if (!maps) give_up("maps");
  char line[512];
  unsigned long start, end;
  while (fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%lx", &start, &end) == 2 && !strstr(line, "[v")) frames.merge(frames_of(pid, start, end));
  fclose(maps);
  return frames;
}

static long both(pid_t a, pid_t b) {
  std::set<uint64_t> frames = all_frames(a);
  frames.merge(all_frames(b));
  return static_cast<long>(frames.size());
}

int main() {
  question("D5. Code 2 pages, globals 1, heap 2, stack 1. After fork the child changes 128 bytes of heap and 8 of stack.");
  fflush(stdout);
  int news[2];
  if (pipe(news) != 0) give_up("pipe");
  pid_t parent = fork();
  if (parent == 0) {
    dup2(news[1], 1);
    char* arguments[] = {const_cast<char*>("specimen"), nullptr};
    char* environment[] = {nullptr};
    execve(specimen_path().c_str(), arguments, environment);
    _exit(127);
  }
  close(news[1]);
  wait_until_stopped(parent);
  expect("pages of the process before fork", 6, static_cast<long>(all_frames(parent).size()));
  kill(parent, SIGCONT);
  pid_t child = wait_for_child_of(parent);
  wait_until_stopped(child);
  wait_until_stopped(parent);
  expect("physical pages of both after fork", 6, both(parent, child));
  kill(child, SIGCONT);
  char done;
  if (read(news[0], &done, 1) != 1) give_up("the specimen's child does not write");
  wait_until_stopped(child);
  expect("physical pages of both after the child's writes", 8, both(parent, child));
  expect("of these, the child's own", 6, static_cast<long>(all_frames(child).size()));
  kill(child, SIGKILL);
  kill(parent, SIGKILL);
  return answer("Fork copies no page; 128 bytes of heap and 8 of stack copy one page each: 6 + 2.");
}
