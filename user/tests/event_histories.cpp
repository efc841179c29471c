// The same random histories as non-blocking calls, poll, select and epoll see them: what poll tells is what the calls then find, and what epoll tells by
// level, by edge, once, and through an instance in an instance. Linux passes it as well.
//
//   event_histories -n STEPS        SEED=number in the environment: another history
#include "user/tests/harness.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <termios.h>

namespace {

struct Dice {
  uint64_t state;
  uint32_t below(uint32_t n) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return uint32_t(state >> 33) % n;
  }
};
uint64_t g_seed;
uint32_t when(bool condition, uint32_t events) { return condition ? events : 0; }

enum class Kind { kPipeIn, kPipeOut, kEvent, kTimer, kMaster, kSlave };
constexpr short kAsked = POLLIN | POLLOUT | POLLPRI;
struct Watched {
  Kind kind;
  int fd;
  uint32_t level = 0;      // what the instance looks for by level: 0 if it is not there
  bool is_armed = false;   // in the instance of one-shots
  uint32_t edge_told = 0;  // what was true when the instance of edges was last asked
};
constexpr int kMost = 24;

class History {
 public:
  explicit History(uint64_t seed) : dice_{seed} {
    level_ = int(CHECK_OK(epoll_create1(0)));
    once_ = int(CHECK_OK(epoll_create1(0)));
    edge_ = int(CHECK_OK(epoll_create1(0)));
    outer_ = int(CHECK_OK(epoll_create1(0)));
    control(outer_, EPOLL_CTL_ADD, level_, EPOLLIN, 0);
    add_pipe();
    add(Kind::kEvent, int(CHECK_OK(eventfd(0, EFD_NONBLOCK))));
    add(Kind::kTimer, int(CHECK_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK))));
    add_terminal();
    add_pipe();
    without_duplicates_ = count_;
  }
  ~History() {
    for (int i = 0; i < count_; i++) close(watched_[i].fd);
    for (int fd : {level_, once_, edge_, outer_}) close(fd);
  }
  void step() {
    Watched& w = watched_[dice_.below(uint32_t(count_))];
    switch (dice_.below(10)) {
      case 0: change_watch(w); break;
      case 1: rearm(w); break;
      case 2: come_or_go(); break;
      default: use(w); break;
    }
    compare();
  }

 private:
  static void control(int epoll, int operation, int fd, uint32_t events, int index) {
    epoll_event event = {};
    event.events = events;
    event.data.u32 = uint32_t(index);
    CHECK_OK(epoll_ctl(epoll, operation, fd, &event));
  }
  void add(Kind kind, int fd) {
    CHECK_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
    int index = count_++;
    watched_[index] = {kind, fd};
    control(edge_, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLET, index);
    control(once_, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLONESHOT, index);
    watched_[index].is_armed = true;
    change_watch(watched_[index]);
  }
  void add_pipe() {
    int fd[2];
    CHECK_OK(pipe(fd));
    add(Kind::kPipeIn, fd[0]);
    add(Kind::kPipeOut, fd[1]);
  }
  void add_terminal() {
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), zero = 0, number;
    if (master < 0) return;
    CHECK_OK(ioctl(master, TIOCSPTLCK, &zero));
    CHECK_OK(ioctl(master, TIOCGPTN, &number));
    char name[32];
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    int slave = int(CHECK_OK(open(name, O_RDWR | O_NOCTTY)));
    termios t;
    CHECK_OK(tcgetattr(slave, &t));
    cfmakeraw(&t);
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
    add(Kind::kMaster, master);
    add(Kind::kSlave, slave);
  }
  void change_watch(Watched& w) {
    uint32_t events = dice_.below(4) == 0 ? 0 : 1 + dice_.below(7);
    events = when(events & 1, EPOLLIN) | when(events & 2, EPOLLOUT) | when(events & 4, EPOLLPRI);
    int index = int(&w - watched_);
    if (w.level == 0 && events != 0) control(level_, EPOLL_CTL_ADD, w.fd, events, index);
    if (w.level != 0 && events != 0) control(level_, EPOLL_CTL_MOD, w.fd, events, index);
    if (w.level != 0 && events == 0) CHECK_OK(epoll_ctl(level_, EPOLL_CTL_DEL, w.fd, nullptr));
    w.level = events;
  }
  void rearm(Watched& w) {
    control(once_, EPOLL_CTL_MOD, w.fd, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLONESHOT, int(&w - watched_));
    w.is_armed = true;
  }
  // Duplicates come and go; the open file stays, and so would the watches of one that is closed.
  void come_or_go() {
    if (count_ < kMost && dice_.below(2) == 0) {
      Watched& w = watched_[dice_.below(uint32_t(count_))];
      add(w.kind, int(CHECK_OK(dup(w.fd))));
    } else if (count_ > without_duplicates_) {
      Watched& w = watched_[--count_];
      for (int epoll : {edge_, once_}) CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, w.fd, nullptr));
      if (w.level != 0) CHECK_OK(epoll_ctl(level_, EPOLL_CTL_DEL, w.fd, nullptr));
      close(w.fd);
    }
  }

  int polled(const Watched& w) {
    pollfd p = {w.fd, kAsked, 0};
    CHECK_OK(poll(&p, 1, 0));
    return p.revents;
  }
  // A call that must do something exactly if poll said so.
  void expect(const Watched& w, ssize_t result, bool said) {
    if ((result >= 0) == said || (said && result < 0 && errno == EIO)) return;
    if (w.kind == Kind::kMaster || w.kind == Kind::kSlave) return;  // input comes late on Linux
    FAIL("seed %llu: descriptor %d of kind %d: poll said %d, the call %zd %s", (unsigned long long)g_seed, w.fd, int(w.kind), said, result,
         result < 0 ? strerrorname_np(errno) : "");
  }
  void use(Watched& w) {
    static char block[4096];
    int events = polled(w);
    uint64_t number = 1;
    switch (w.kind) {
      case Kind::kPipeIn: expect(w, read(w.fd, block, sizeof block), events & (POLLIN | POLLHUP)); break;
      case Kind::kPipeOut:
        for (uint32_t i = dice_.below(9) == 0 ? 20 : 1; i > 0; i--) expect(w, write(w.fd, block, sizeof block), polled(w) & POLLOUT);
        break;
      case Kind::kEvent:
        if (dice_.below(2) == 0) return expect(w, read(w.fd, &number, 8), events & POLLIN);
        expect(w, write(w.fd, &number, 8), events & POLLOUT);
        number = ~0ull - 2;
        if (dice_.below(3) == 0) ignore(write(w.fd, &number, 8));  // nearly full
        break;
      case Kind::kTimer: {
        if (dice_.below(2) == 0) return expect(w, read(w.fd, &number, 8), events & POLLIN);
        bool goes_off = dice_.below(2) == 0;
        itimerspec time = {{}, {goes_off ? 0 : 1000000, 1}};
        CHECK_OK(timerfd_settime(w.fd, 0, &time, nullptr));
        pollfd p = {w.fd, POLLIN, 0};
        if (goes_off) CHECK_EQ(poll(&p, 1, -1), 1);
        break;
      }
      case Kind::kMaster:
      case Kind::kSlave:
        if (dice_.below(2) == 0)
          expect(w, read(w.fd, block, 1 + dice_.below(300)), events & POLLIN);
        else
          expect(w, write(w.fd, block, 1 + dice_.below(300)), events & POLLOUT);
        break;
    }
  }
  static void ignore(ssize_t) {}

  // What each way says now; whether they agree. A terminal's input may come between two of them.
  bool agree() {
    pollfd p[kMost];
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    for (int i = 0; i < count_; i++) {
      p[i] = {watched_[i].fd, kAsked, 0};
      FD_SET(watched_[i].fd, &in);
      FD_SET(watched_[i].fd, &out);
    }
    CHECK_OK(poll(p, nfds_t(count_), 0));
    timeval zero = {};
    CHECK_OK(select(FD_SETSIZE, &in, &out, nullptr, &zero));
    uint32_t by_level[kMost] = {};
    epoll_event events[kMost];
    long n = CHECK_OK(epoll_wait(level_, events, kMost, 0));
    for (long i = 0; i < n; i++) by_level[events[i].data.u32] = events[i].events;
    bool same = true, any = n > 0;
    for (int i = 0; i < count_; i++) {
      const Watched& w = watched_[i];
      uint32_t looked_for = w.level == 0 ? 0 : w.level | EPOLLERR | EPOLLHUP;
      same &= by_level[i] == (uint32_t(p[i].revents) & looked_for);
      same &= FD_ISSET(w.fd, &in) == bool(p[i].revents & (POLLIN | POLLHUP | POLLERR));
      same &= FD_ISSET(w.fd, &out) == bool(p[i].revents & (POLLOUT | POLLERR));
    }
    same &= epoll_wait(outer_, events, 1, 0) == (any ? 1 : 0);
    return same;
  }
  void compare() {
    for (int tries = 0; !agree(); tries++) {
      if (tries == 1000) FAIL("seed %llu: poll, select and epoll do not agree", (unsigned long long)g_seed);
      pause_a_little();
    }
    compare_once();
    compare_edges();
  }
  // Who is armed and ready is told, once.
  void compare_once() {
    for (int tries = 0;; tries++) {
      epoll_event events[kMost];
      long n = CHECK_OK(epoll_wait(once_, events, kMost, 0));
      for (long i = 0; i < n; i++) {
        Watched& w = watched_[events[i].data.u32];
        CHECK(w.is_armed);
        w.is_armed = false;
      }
      bool all_told = true;
      for (int i = 0; i < count_; i++) all_told &= !watched_[i].is_armed || polled(watched_[i]) == 0;
      if (all_told) return;
      if (tries == 1000) FAIL("seed %llu: an armed one-shot is not told", (unsigned long long)g_seed);
      pause_a_little();
    }
  }
  // What has become true since it was last asked is told; and nothing that is not true.
  void compare_edges() {
    uint32_t told[kMost] = {};
    for (int tries = 0;; tries++) {
      epoll_event events[kMost];
      long n = CHECK_OK(epoll_wait(edge_, events, kMost, 0));
      for (long i = 0; i < n; i++) told[events[i].data.u32] |= events[i].events;
      bool all_told = true;
      for (int i = 0; i < count_; i++) {
        Watched& w = watched_[i];
        uint32_t now = uint32_t(polled(w));
        if (now & ~(told[i] | w.edge_told)) all_told = false;
      }
      if (all_told) break;
      if (tries == 1000) FAIL("seed %llu: an edge is not told", (unsigned long long)g_seed);
      pause_a_little();
    }
    for (int i = 0; i < count_; i++) watched_[i].edge_told = uint32_t(polled(watched_[i]));
  }

  Dice dice_;
  int level_, once_, edge_, outer_;
  Watched watched_[kMost];
  int count_ = 0, without_duplicates_ = 0;
};

}  // namespace

TEST_SLOW(calls_poll_select_and_epoll_tell_the_same) {
  const char* text = getenv("SEED");
  g_seed = text ? strtoull(text, nullptr, 10) : 1;
  int steps = scale(1500);
  for (int part = 0; part < 3; part++, g_seed++) {
    History history(g_seed);
    for (int i = 0; i < steps / 3; i++) history.step();
  }
}

// ---------------------------------------------------------------- those who sleep

namespace {

enum class Way { kRead, kPoll, kSelect, kEpoll, kNested };
struct Sleeper {
  Way way;
  int fd;
  pthread_t thread;
  volatile int tid = 0;
};
void* sleep_for(void* argument) {
  auto& s = *(Sleeper*)argument;
  int epoll = epoll_create1(0), outer = epoll_create1(0);
  epoll_event event = {};
  event.events = EPOLLIN;
  CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, s.fd, &event));
  CHECK_OK(epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &event));
  s.tid = int(syscall(SYS_gettid));
  switch (s.way) {
    case Way::kRead: {
      char bytes[8];
      CHECK_EQ(read(s.fd, bytes, 8), 8);
      break;
    }
    case Way::kPoll: {
      pollfd p = {s.fd, POLLIN, 0};
      CHECK_EQ(poll(&p, 1, -1), 1);
      break;
    }
    case Way::kSelect: {
      fd_set in;
      FD_ZERO(&in);
      FD_SET(s.fd, &in);
      CHECK_EQ(select(s.fd + 1, &in, nullptr, nullptr, nullptr), 1);
      break;
    }
    case Way::kEpoll: CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1); break;
    case Way::kNested: CHECK_EQ(epoll_wait(outer, &event, 1, -1), 1); break;
  }
  close(epoll);
  close(outer);
  return nullptr;
}

}  // namespace

// What makes a file ready wakes everybody, whichever way they sleep; the test's own write is for those who only look.
TEST_SLOW(each_way_of_sleeping_ends) {
  const char* text = getenv("SEED");
  Dice dice{text ? strtoull(text, nullptr, 10) : 1};
  for (int turn = 0; turn < scale(60); turn++) {
    int fd[2];
    if (dice.below(2) == 0) {
      CHECK_OK(pipe(fd));
    } else {
      fd[0] = fd[1] = int(CHECK_OK(eventfd(0, EFD_SEMAPHORE)));
    }
    Sleeper sleepers[5];
    int n = 1 + int(dice.below(5)), readers = 0;
    for (int i = 0; i < n; i++) {
      sleepers[i].way = Way(dice.below(5));
      sleepers[i].fd = fd[0];
      if (sleepers[i].way == Way::kRead) readers++;
      CHECK_EQ(pthread_create(&sleepers[i].thread, nullptr, &sleep_for, &sleepers[i]), 0);
    }
    for (uint32_t i = dice.below(30); i > 0; i--) sched_yield();  // some sleep by then, some do not
    uint64_t one = 1;
    for (int i = 0; i < readers + 1; i++) CHECK_EQ(write(fd[1], &one, 8), 8);
    for (int i = 0; i < n; i++) CHECK_EQ(pthread_join(sleepers[i].thread, nullptr), 0);
    close(fd[0]);
    if (fd[1] != fd[0]) close(fd[1]);
  }
}
