// The guest's half of tools/run: process 1 of a machine that was booted for one command. It runs the command, sends what
// it prints and how it ended over the second serial port, and powers the machine off.
//
// The host leaves in /.run: command (the arguments, each ended by a zero byte), get (paths to hand back, likewise), and
// perhaps interactive and swap (empty file; a device's path), and add: where /.run/added/0, 1, … belong, which is in memory.
// Results go back as frames (see Frame below). Paths of `get` are copied to /.run/got/0, 1, …, from where the host takes them
// out of the image.

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace {

// A frame is this byte, the length of what follows as 32 bits (low byte first), and so many bytes.
enum class Frame : char {
  kHello = 'H',    // nothing: the kernel has booted, the agent runs
  kOutput = 'O',   // bytes of standard output
  kError = 'E',    // bytes of standard error
  kProblem = 'P',  // text about what the agent itself could not do
  kExit = 'X',     // one byte: the exit status
};

int channel = -1;    // the second serial port
int child_ended[2];  // a pipe that the SIGCHLD handler writes to

char pipe_bytes[16384];  // what was read from the command's pipes and goes on

void send_bytes(const void* data, size_t length) {
  for (size_t sent = 0; sent < length;) {
    ssize_t n = write(channel, static_cast<const char*>(data) + sent, length - sent);
    if (n > 0)
      sent += n;
    else if (errno != EINTR)
      return;
  }
}

void send(Frame type, const void* data, size_t length) {
  char header[5] = {static_cast<char>(type)};
  for (int i = 0; i < 4; i++) header[1 + i] = static_cast<char>(length >> (8 * i));
  send_bytes(header, sizeof header);
  send_bytes(data, length);
}

void problem(const std::string& what) {
  std::string sentence = what + ": " + strerror(errno);
  send(Frame::kProblem, sentence.data(), sentence.size());
}

std::vector<std::string> read_list(const char* path) {
  std::vector<std::string> list;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return list;
  std::string all;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) all.append(buffer, n);
  close(fd);
  for (size_t start = 0, end; (end = all.find('\0', start)) != std::string::npos; start = end + 1)
    list.push_back(all.substr(start, end - start));
  return list;
}

// In the child: becomes the command, or ends as a shell would.
[[noreturn]] void execute(std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  int error = errno;
  std::string message = "run-agent: " + command[0] + ": " + strerror(error) + "\n";
  if (write(STDERR_FILENO, message.data(), message.size()) < 0) _exit(125);
  _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

void be_usual_child() {
  signal(SIGCHLD, SIG_DFL);
  setsid();
}

// Starts the command with its output in two pipes; the ends to read are stored in `outputs`.
pid_t start(std::vector<std::string>& command, int outputs[2]) {
  int output[2], error[2];
  if (pipe2(output, O_CLOEXEC) < 0 || pipe2(error, O_CLOEXEC) < 0) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    be_usual_child();
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    dup2(error[1], STDERR_FILENO);
    execute(command);
  }
  close(output[1]);
  close(error[1]);
  outputs[0] = output[0];
  outputs[1] = error[0];
  return pid;
}

// Starts the command on the console, which becomes its controlling terminal.
pid_t start_on_console(std::vector<std::string>& command) {
  pid_t pid = fork();
  if (pid == 0) {
    be_usual_child();
    int console = open("/dev/console", O_RDWR);
    if (console < 0) _exit(125);
    ioctl(console, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; fd++) dup2(console, fd);
    if (console > 2) close(console);
    execute(command);
  }
  return pid;
}

int exit_status(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

// Collects every process that has ended. Returns whether `pid` was among them, and then its exit status.
bool reap(pid_t pid, int options, int& result) {
  bool found = false;
  int status;
  for (pid_t ended; !found && (ended = waitpid(-1, &status, options)) > 0;) {
    if (ended != pid) continue;
    result = exit_status(status);
    found = true;
  }
  return found;
}

// Passes on one read's worth of a pipe. Returns false at its end, or when there is nothing more to read without waiting.
bool forward(int fd, Frame type) {
  ssize_t n = read(fd, pipe_bytes, sizeof pipe_bytes);
  if (n > 0) send(type, pipe_bytes, n);
  return n > 0 || (n < 0 && errno == EINTR);
}

// Passes output on until the command has ended. What others that hold the pipes might still write is not waited for.
int supervise(pid_t pid, const int outputs[2], Frame error_type) {
  const Frame types[] = {Frame::kOutput, error_type};
  pollfd files[3] = {{outputs[0], POLLIN, 0}, {outputs[1], POLLIN, 0}, {child_ended[0], POLLIN, 0}};
  int result = 0;
  for (bool ended = false; !ended;) {
    if (files[0].fd < 0 && files[1].fd < 0) {
      reap(pid, 0, result);
      return result;
    }
    if (poll(files, 3, -1) < 0) continue;
    for (int i = 0; i < 2; i++)
      if (files[i].revents != 0 && !forward(files[i].fd, types[i])) files[i].fd = -1;
    if (files[2].revents != 0) {
      char bytes[64];
      while (read(child_ended[0], bytes, sizeof bytes) > 0) {
      }
      ended = reap(pid, WNOHANG, result);
    }
  }
  for (int i = 0; i < 2; i++) {
    fcntl(outputs[i], F_SETFL, O_NONBLOCK);
    while (forward(outputs[i], types[i])) {
    }
  }
  return result;
}

void note_child(int) {
  int saved = errno;
  if (write(child_ended[1], "", 1) < 0) {
  }  // full: a byte is there already, which is all it takes
  errno = saved;
}

void set_up() {
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0) open("/dev/console", O_RDWR);
  channel = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (channel < 0) perror("run-agent: /dev/ttyS1");
  // Tests count the machine's frames. A page of this that came only with the first long piece of output would look like a leak.
  if (mlock(pipe_bytes, sizeof pipe_bytes) < 0) problem("mlock");
  if (pipe2(child_ended, O_CLOEXEC | O_NONBLOCK) < 0) problem("pipe");
  struct sigaction action {};
  action.sa_handler = note_child;
  action.sa_flags = SA_RESTART;
  sigaction(SIGCHLD, &action, nullptr);
  setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("HOME", "/root", 1);
  setenv("USER", "root", 1);
  setenv("SHELL", "/bin/sh", 1);
  setenv("TERM", "vt102", 0);
}

void stop_the_others() {
  kill(-1, SIGKILL);
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

// Runs one of busybox's commands; what it complains of is told to the host. Returns whether it went well.
bool run_helper(std::vector<std::string> command) {
  command.insert(command.begin(), "/bin/busybox");
  int outputs[2];
  pid_t pid = start(command, outputs);
  int status = pid < 0 ? 125 : supervise(pid, outputs, Frame::kProblem);
  if (pid >= 0) close(outputs[0]), close(outputs[1]);
  return status == 0;
}

// A directory that is there already gets what is in the added one, and stays as it is itself.
bool put_in_place(const std::vector<std::string>& paths) {
  static const char kScript[] =
      "mkdir -p \"$(dirname \"$2\")\" || exit\n"
      "if [ ! -d \"$1\" ] || [ -L \"$1\" ] || [ ! -d \"$2\" ]; then exec cp -aT \"$1\" \"$2\"; fi\n"
      "mode=$(stat -c %a \"$2\") && cp -a \"$1/.\" \"$2/\" && chmod $mode \"$2\"";
  bool all_done = true;
  for (size_t i = 0; i < paths.size(); i++)
    all_done &= run_helper({"sh", "-c", kScript, "add", "/.run/added/" + std::to_string(i), paths[i]});
  return all_done;
}

// Returns false when any path could not be copied; the host has then been told.
bool hand_back(const std::vector<std::string>& paths) {
  bool all_done = true;
  mkdir("/.run/got", 0700);
  for (size_t i = 0; i < paths.size(); i++) all_done &= run_helper({"cp", "-R", "-p", "-H", paths[i], "/.run/got/" + std::to_string(i)});
  return all_done;
}

}  // namespace

int main() {
  set_up();
  send(Frame::kHello, "", 0);

  std::vector<std::string> command = read_list("/.run/command");
  bool is_ready = true;
  for (const std::string& device : read_list("/.run/swap"))
    if (swapon(device.c_str(), 0) < 0) problem("swapon " + device), is_ready = false;

  int status = 125;
  if (command.empty()) {
    problem("/.run/command");
  } else if (!put_in_place(read_list("/.run/add")) || !is_ready) {
    status = 125;
  } else if (access("/.run/interactive", F_OK) == 0) {
    pid_t pid = start_on_console(command);
    if (pid < 0)
      problem("fork");
    else
      reap(pid, 0, status);
  } else {
    int outputs[2];
    pid_t pid = start(command, outputs);
    if (pid < 0)
      problem("fork");
    else
      status = supervise(pid, outputs, Frame::kError);
  }

  stop_the_others();
  if (!hand_back(read_list("/.run/get")) && status == 0) status = 1;
  sync();
  unsigned char byte = static_cast<unsigned char>(status);
  send(Frame::kExit, &byte, 1);
  tcdrain(channel);  // the host may read slowly, and what is on its way when the power goes is lost
  reboot(RB_POWER_OFF);
  perror("run-agent: reboot");
  return 1;
}
