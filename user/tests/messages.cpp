// Messages: rendezvous of threads and processes, in either order, with buffers of every kind, and every way in which one ends.
#include <faultline/message.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <algorithm>

#include "user/tests/harness.h"

namespace {

constexpr msg_timeout kShort = {0, 20'000'000};

uint8_t pattern(uint32_t seed, uint32_t at) { return uint8_t(seed * 31 + at * 7 + (at >> 8)); }
void fill(void* buffer, uint32_t length, uint32_t seed) {
  for (uint32_t i = 0; i < length; i++) static_cast<uint8_t*>(buffer)[i] = pattern(seed, i);
}
void check_filled(const void* buffer, uint32_t length, uint32_t seed) {
  for (uint32_t i = 0; i < length; i++)
    if (static_cast<const uint8_t*>(buffer)[i] != pattern(seed, i)) FAIL("byte %u of %u is wrong", i, length);
}
uint8_t* fresh(uint32_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(at != MAP_FAILED);
  return static_cast<uint8_t*>(at);
}

int32_t send_to(uint32_t to, const void* data, uint32_t length, uint32_t flags = 0) { return msg_send(to, data, length, flags, nullptr); }
int32_t send_word(uint32_t to, uint32_t word) { return send_to(to, &word, sizeof word); }
int32_t receive_word(uint32_t from, uint32_t& word, msg_sender* sender = nullptr, uint32_t flags = 0) {
  return msg_recv(from, &word, sizeof word, sender, flags, nullptr);
}
void take_word(uint32_t from, uint32_t expected) {
  uint32_t word = ~expected;
  CHECK_EQ(receive_word(from, word), 4);
  CHECK_EQ(word, expected);
}
// A child that waits in its call.
template <typename Body>
pid_t waiting_child(Body body) {
  pid_t pid = in_child(body);
  wait_state(pid, "S");
  return pid;
}

const uint32_t kLengths[] = {0, 1, 8, 63, 64, 65, 4095, 4096, 4097, 65536, 100'003, 3u << 20};

}  // namespace

TEST(a_receiver_that_waits_gets_the_bytes) {
  for (uint32_t length : kLengths) {
    uint8_t* data = fresh(length + 1);
    fill(data, length, length);
    pid_t parent = getpid();
    pid_t pid = waiting_child([=] {
      uint8_t* buffer = fresh(length + 1);
      msg_sender sender = {};
      CHECK_EQ(msg_recv(MSG_ANY, buffer, length + 1, &sender, 0, nullptr), length);
      check_filled(buffer, length, length);
      CHECK_EQ(sender.thread, parent);
      CHECK_EQ(sender.process, parent);
      CHECK_EQ(sender.length, length);
    });
    CHECK_EQ(send_to(pid, data, length), length);
    CHECK_EXIT(pid, 0);
    CHECK_OK(munmap(data, length + 1));
  }
}

TEST(a_sender_that_waits_gives_the_bytes) {
  for (uint32_t length : kLengths) {
    uint8_t* buffer = fresh(length + 1);
    pid_t parent = getpid();
    pid_t pid = waiting_child([=] {
      uint8_t* data = fresh(length + 1);
      fill(data, length, length);
      CHECK_EQ(send_to(parent, data, length), length);
    });
    msg_sender sender = {};
    CHECK_EQ(msg_recv(MSG_ANY, buffer, length + 1, &sender, 0, nullptr), length);
    check_filled(buffer, length, length);
    CHECK_EQ(sender.process, pid);
    CHECK_EXIT(pid, 0);
    CHECK_OK(munmap(buffer, length + 1));
  }
}

TEST(what_does_not_fit_is_cut_and_both_are_told) {
  for (uint32_t length : {10u, 64u, 5000u})
    for (uint32_t room : {0u, 3u, 9u}) {
      uint8_t data[5000], buffer[16] = {};
      fill(data, length, 1);
      pid_t parent = getpid();
      pid_t pid = waiting_child([&] { CHECK_EQ(send_to(parent, data, length), room); });
      msg_sender sender = {};
      CHECK_EQ(msg_recv(pid, buffer, room, &sender, 0, nullptr), room);
      CHECK_EQ(sender.length, length);
      check_filled(buffer, room, 1);
      CHECK_EQ(buffer[room], 0);
      CHECK_EXIT(pid, 0);
      pid = waiting_child([&] {
        CHECK_EQ(msg_recv(MSG_ANY, buffer, room, &sender, 0, nullptr), room);
        CHECK_EQ(sender.length, length);
        CHECK_EQ(buffer[room], 0);
      });
      CHECK_EQ(send_to(pid, data, length), room);
      CHECK_EXIT(pid, 0);
    }
}

TEST(only_who_is_asked_for_is_heard) {
  pid_t parent = getpid(), pids[3];
  for (uint32_t i = 0; i < 3; i++) pids[i] = waiting_child([=] { CHECK_EQ(send_word(parent, i), 4); });
  for (uint32_t i : {2u, 0u, 1u}) take_word(pids[i], i);
  for (pid_t pid : pids) CHECK_EXIT(pid, 0);
}

TEST(senders_are_heard_in_the_order_they_came) {
  pid_t parent = getpid(), pids[8];
  for (uint32_t i = 0; i < 8; i++) pids[i] = waiting_child([=] { CHECK_EQ(send_word(parent, i), 4); });
  for (uint32_t i = 0; i < 8; i++) take_word(MSG_ANY, i);
  for (pid_t pid : pids) CHECK_EXIT(pid, 0);
}

TEST(a_call_is_a_question_and_its_answer) {
  pid_t server = in_child([] {
    uint32_t number, last = 0;
    msg_sender sender;
    CHECK_EQ(receive_word(MSG_ANY, number, &sender), 4);
    while (number != 0) {
      last = number * number;
      CHECK_EQ(faultline::answer_and_receive(sender, last, number).error(), 0);
    }
    CHECK_EQ(send_word(sender.identity, 0), 4);
  });
  for (uint32_t i = 1; i <= 1000; i++) {
    uint32_t answer = 0;
    CHECK_EQ(faultline::call(server, i, answer).error(), 0);
    CHECK_EQ(answer, i * i);
  }
  uint32_t zero = 0, answer = 1;
  CHECK_EQ(faultline::call(server, zero, answer).error(), 0);
  CHECK_EXIT(server, 0);
}

TEST(threads_of_a_process_are_met_one_by_one) {
  static uint32_t ids[4];
  pthread_t threads[4];
  for (uint32_t i = 0; i < 4; i++)
    CHECK_EQ(pthread_create(
                 &threads[i], nullptr,
                 [](void* which) -> void* {
                   uint32_t n = uint32_t(uintptr_t(which)), word;
                   __atomic_store_n(&ids[n], uint32_t(gettid()), __ATOMIC_RELEASE);
                   msg_sender sender;
                   CHECK_EQ(receive_word(getpid(), word, &sender), 4);
                   CHECK_EQ(word, 100 + n);
                   CHECK_EQ(send_word(sender.identity, word + 1), 4);
                   return nullptr;
                 },
                 (void*)uintptr_t(i)),
             0);
  for (uint32_t i = 0; i < 4; i++) {
    while (!__atomic_load_n(&ids[i], __ATOMIC_ACQUIRE)) usleep(1000);
    CHECK_EQ(send_word(ids[i], 100 + i), 4);
    take_word(ids[i], 101 + i);
  }
  for (pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
}

TEST(who_does_not_want_to_wait_need_not) {
  uint32_t word = 0;
  CHECK_EQ(receive_word(MSG_ANY, word, nullptr, MSG_TRY), -EAGAIN);
  pid_t parent = getpid(), pid = waiting_child([] { pause(); });
  CHECK_EQ(msg_send(pid, &word, 4, MSG_TRY, nullptr), -EAGAIN);
  CHECK_EQ(receive_word(pid, word, nullptr, MSG_TRY), -EAGAIN);
  CHECK_EQ(msg_send(pid, &word, 4, 0, &kShort), -ETIMEDOUT);
  CHECK_EQ(msg_recv(pid, &word, 4, nullptr, 0, &kShort), -ETIMEDOUT);
  CHECK_EQ(msg_recv(MSG_ANY, &word, 4, nullptr, 0, &kShort), -ETIMEDOUT);
  const msg_exchange exchange = {&word, 4, uint32_t(pid), &word, 4, nullptr};
  CHECK_EQ(msg_call(pid, &exchange, MSG_TRY, nullptr), -EAGAIN);
  CHECK_EQ(msg_call(pid, &exchange, 0, &kShort), -ETIMEDOUT);
  CHECK_OK(kill(pid, SIGKILL));
  CHECK_OK(waitpid(pid, nullptr, 0));
  pid = waiting_child([=] { take_word(parent, 7); });
  word = 7;
  CHECK_EQ(msg_send(pid, &word, 4, MSG_TRY, nullptr), 4);
  CHECK_EXIT(pid, 0);
}

TEST(a_peers_end_is_told) {
  pid_t parent = getpid();
  // Who waits to send to it, who waits to hear from it, and who comes after.
  pid_t victim = waiting_child([] { pause(); });
  pid_t sender = waiting_child([=] { CHECK_EQ(send_word(victim, 1), -ESRCH); });
  pid_t receiver = waiting_child([=] {
    uint32_t word;
    CHECK_EQ(receive_word(victim, word), -ESRCH);
  });
  CHECK_OK(kill(victim, SIGKILL));
  CHECK_EXIT(sender, 0);
  CHECK_EXIT(receiver, 0);
  CHECK_EQ(send_word(victim, 1), -ESRCH);  // a zombie
  CHECK_OK(waitpid(victim, nullptr, 0));
  CHECK_EQ(send_word(victim, 1), -ESRCH);
  // One that ends while it waits in our mailbox is not there any more.
  pid_t gone = waiting_child([=] { (void)send_word(parent, 1); });
  CHECK_OK(kill(gone, SIGKILL));
  CHECK_OK(waitpid(gone, nullptr, 0));
  uint32_t word;
  CHECK_EQ(receive_word(MSG_ANY, word, nullptr, MSG_TRY), -EAGAIN);
  gone = waiting_child([=] {
    uint32_t any;
    (void)receive_word(MSG_ANY, any);
  });
  CHECK_OK(kill(gone, SIGKILL));
  CHECK_OK(waitpid(gone, nullptr, 0));
  CHECK_EQ(send_word(gone, 1), -ESRCH);
}

TEST(an_identity_means_nobody_else) {
  pid_t parent = getpid();
  pid_t pid = waiting_child([=] { CHECK_EQ(send_word(parent, 1), 4); });
  uint32_t word;
  msg_sender sender;
  CHECK_EQ(receive_word(MSG_ANY, word, &sender), 4);
  CHECK_EXIT(pid, 0);
  CHECK(sender.identity & 0x80000000u);
  CHECK_EQ(send_word(sender.identity, 1), -ESRCH);
  CHECK_EQ(receive_word(sender.identity, word), -ESRCH);
  // One that has the number of a living process, but of another time.
  pid = waiting_child([=] {
    uint32_t any;
    CHECK_EQ(receive_word(MSG_ANY, any), 4);
    CHECK_EQ(send_word(parent, 2), 4);
  });
  CHECK_EQ(send_word(pid, 1), 4);
  CHECK_EQ(receive_word(pid, word, &sender), 4);
  CHECK_EXIT(pid, 0);
  pid = waiting_child([] { pause(); });
  const uint32_t number_bits = 0x7fff;
  for (uint32_t round : {1u, 2u, 0xffffu})
    CHECK_EQ(send_word(0x80000000u | ((sender.identity + (round << 15)) & 0x7fff8000u) | (pid & number_bits), 1), -ESRCH);
  CHECK_OK(kill(pid, SIGKILL));
  CHECK_OK(waitpid(pid, nullptr, 0));
}

TEST_SLOW(a_number_that_comes_again_is_not_the_same_identity) {
  pid_t parent = getpid();
  for (pid_t low = 0; low < 1000;) {  // what is started at boot keeps its numbers for itself
    low = vfork();
    if (low == 0) _exit(0);
    CHECK_OK(waitpid(low, nullptr, 0));
  }
  pid_t first = waiting_child([=] { CHECK_EQ(send_word(parent, 1), 4); });
  uint32_t word;
  msg_sender sender;
  CHECK_EQ(receive_word(first, word, &sender), 4);
  CHECK_EXIT(first, 0);
  pid_t again = -1;
  while (again != first) {
    if (again < first - 20 || again > first) {  // numbers are given out in rising order
      again = vfork();
      if (again == 0) _exit(0);
      CHECK_OK(waitpid(again, nullptr, 0));
      continue;
    }
    again = in_child([=] {
      if (getpid() == first) pause();
    });
    if (again != first) CHECK_OK(waitpid(again, nullptr, 0));
  }
  CHECK_EQ(send_word(sender.identity, 1), -ESRCH);
  CHECK_OK(kill(first, SIGKILL));
  CHECK_OK(waitpid(first, nullptr, 0));
}

TEST(who_may_not_be_signalled_may_not_be_sent_to) {
  if (geteuid() != 0) SKIP("not root");
  pid_t parent = getpid();
  pid_t pid = in_child([=] {
    CHECK_OK(setuid(1000));
    CHECK_EQ(send_word(parent, 1), -EPERM);
    CHECK_EQ(send_word(1, 1), -EPERM);
    uint32_t word;
    CHECK_EQ(receive_word(parent, word), -EPERM);
  });
  CHECK_EXIT(pid, 0);
}

namespace {
volatile int g_signals;
void count_signal(int) { g_signals = g_signals + 1; }
void catch_alarm(int flags) {
  struct sigaction action = {};
  action.sa_handler = count_signal;
  action.sa_flags = flags;
  CHECK_OK(sigaction(SIGALRM, &action, nullptr));
  const itimerval soon = {{0, 0}, {0, 20'000}};
  CHECK_OK(setitimer(ITIMER_REAL, &soon, nullptr));
}
}  // namespace

TEST(a_signal_ends_the_wait) {
  pid_t pid = waiting_child([] { pause(); });
  uint32_t word = 0;
  catch_alarm(0);
  CHECK_EQ(send_word(pid, 1), -EINTR);
  catch_alarm(0);
  CHECK_EQ(receive_word(pid, word), -EINTR);
  catch_alarm(0);
  CHECK_EQ(receive_word(MSG_ANY, word), -EINTR);
  const msg_timeout long_time = {100, 0};
  catch_alarm(SA_RESTART);
  CHECK_EQ(msg_recv(MSG_ANY, &word, 4, nullptr, 0, &long_time), -EINTR);
  CHECK_EQ(g_signals, 4);
  CHECK_OK(kill(pid, SIGKILL));
  CHECK_OK(waitpid(pid, nullptr, 0));
  // With SA_RESTART it goes on.
  pid_t parent = getpid();
  pid = in_child([=] {
    uint32_t any;
    catch_alarm(SA_RESTART);
    CHECK_EQ(receive_word(parent, any), 4);
    CHECK_EQ(g_signals, 5);
    catch_alarm(SA_RESTART);
    CHECK_EQ(send_word(parent, any + 1), 4);
    CHECK_EQ(g_signals, 6);
  });
  usleep(100'000);
  CHECK_EQ(send_word(pid, 41), 4);
  usleep(100'000);
  take_word(pid, 42);
  CHECK_EXIT(pid, 0);
}

TEST(waits_that_would_never_end_are_refused) {
  pid_t self = getpid();
  uint32_t word;
  CHECK_EQ(send_word(self, 1), -EDEADLK);
  CHECK_EQ(receive_word(self, word), -EDEADLK);
  // Two who send to each other; two who wait to hear from each other; one of each.
  pid_t pid = waiting_child([=] { CHECK_EQ(send_word(self, 1), 4); });
  CHECK_EQ(send_word(pid, 1), -EDEADLK);
  take_word(pid, 1);
  CHECK_EXIT(pid, 0);
  pid = waiting_child([=] { take_word(self, 2); });
  CHECK_EQ(receive_word(pid, word), -EDEADLK);
  CHECK_EQ(send_word(pid, 2), 4);
  CHECK_EXIT(pid, 0);
  // A circle of five, closed by the fifth: each sends to the next, and then hears from the one before.
  auto* ring = static_cast<volatile pid_t*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ring[0] = self;
  for (int i = 1; i <= 4; i++)
    ring[i] = in_child([=] {
      while (i < 4 && ring[i + 1] == 0) usleep(1000);
      CHECK_EQ(send_word(ring[(i + 1) % 5], uint32_t(i)), 4);
      take_word(ring[i - 1], uint32_t(i - 1));
    });
  for (int i = 1; i <= 4; i++) {
    wait_state(ring[i], "S");
    if (i < 4) usleep(20'000);  // it slept until it knew its neighbour
  }
  usleep(20'000);
  CHECK_EQ(send_word(ring[1], 0), -EDEADLK);
  take_word(ring[4], 4);  // which lets the others go on, down to the first
  CHECK_EQ(send_word(ring[1], 0), 4);
  for (int i = 1; i <= 4; i++) CHECK_EXIT(ring[i], 0);
}

TEST(a_bad_buffer_is_its_owners_trouble) {
  auto* bad = reinterpret_cast<void*>(0x1000);
  pid_t parent = getpid();
  for (uint32_t length : {8u, 5000u}) {
    uint8_t data[5000], buffer[5000];
    fill(data, length, 3);
    // The receiver's: the sender waits on.
    pid_t pid = waiting_child([&] { CHECK_EQ(send_to(parent, data, length), length); });
    CHECK_EQ(msg_recv(MSG_ANY, bad, length, nullptr, 0, nullptr), -EFAULT);
    CHECK_EQ(msg_recv(MSG_ANY, buffer, length, nullptr, 0, nullptr), length);
    check_filled(buffer, length, 3);
    CHECK_EXIT(pid, 0);
    // The sender's: the receiver waits on.
    pid = waiting_child([&] {
      CHECK_EQ(msg_recv(parent, buffer, length, nullptr, 0, nullptr), length);
      check_filled(buffer, length, 3);
    });
    CHECK_EQ(send_to(pid, bad, length), -EFAULT);
    CHECK_EQ(send_to(pid, data, length), length);
    CHECK_EXIT(pid, 0);
    // Found out by the other one.
    pid = waiting_child([&] { CHECK_EQ(send_to(parent, length > 64 ? bad : data, length), length > 64 ? -EFAULT : int(length)); });
    CHECK_EQ(msg_recv(MSG_ANY, buffer, length, nullptr, length > 64 ? uint32_t(MSG_TRY) : 0, nullptr), length > 64 ? -EAGAIN : int(length));
    CHECK_EXIT(pid, 0);
    // A short one has then been sent: it went to the record of who waited, not yet to its memory.
    pid = waiting_child([&] { CHECK_EQ(msg_recv(parent, bad, length, nullptr, 0, nullptr), -EFAULT); });
    CHECK_EQ(send_to(pid, data, length), length > 64 ? -ESRCH : int(length));
    CHECK_EXIT(pid, 0);
  }
  // The sender is half there.
  uint8_t* half = fresh(2 * kPage);
  CHECK_OK(munmap(half + kPage, kPage));
  pid_t pid = waiting_child([] {
    static uint8_t buffer[2 * kPage];
    CHECK_EQ(msg_recv(MSG_ANY, buffer, sizeof buffer, nullptr, 0, nullptr), 1);
  });
  CHECK_EQ(send_to(pid, half, 2 * kPage), -EFAULT);
  CHECK_EQ(send_to(pid, half, 1), 1);
  CHECK_EXIT(pid, 0);
  msg_sender* nowhere = reinterpret_cast<msg_sender*>(0x1000);
  pid = waiting_child([=] { CHECK_EQ(send_word(parent, 1), 4); });
  uint32_t word;
  CHECK_EQ(receive_word(MSG_ANY, word, nowhere), -EFAULT);
  CHECK_EXIT(pid, 0);
}

// Pieces that the kernel moves together, where they cannot be moved: each of these once went round in the kernel for ever.
TEST(buffers_across_borders) {
  pid_t parent = getpid();
  auto* top = reinterpret_cast<uint8_t*>(0x7ffff000);
  mmap(top, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);  // or it is the stack's
  static uint8_t page[2 * kPage] __attribute__((aligned(4096)));
  memset(page, 1, sizeof page);
  auto receive_one = [] { CHECK_EQ(msg_recv(MSG_ANY, page, sizeof page, nullptr, 0, nullptr), 1); };
  auto send_all = [=] { CHECK_EQ(send_to(parent, page, sizeof page), sizeof page); };
  pid_t pid = waiting_child(receive_one);
  for (uint32_t back : {1u, 2u, 3u, 4u, 2048u}) CHECK_EQ(send_to(pid, top + kPage - back, 2 * kPage), -EFAULT);
  CHECK_EQ(send_to(pid, page, 1), 1);
  CHECK_EXIT(pid, 0);
  pid = waiting_child(send_all);
  for (uint32_t back : {1u, 2u, 4u, 2048u}) CHECK_EQ(msg_recv(pid, top + kPage - back, 2 * kPage, nullptr, 0, nullptr), -EFAULT);
  CHECK_EQ(msg_recv(pid, page, sizeof page, nullptr, 0, nullptr), sizeof page);
  CHECK_EXIT(pid, 0);
  // The other's page ends `theirs` bytes from the start, ours `ours` bytes; our second page has never been touched.
  for (uint32_t theirs = 1; theirs <= 8; theirs++)
    for (uint32_t ours = 1; ours <= 8; ours++) {
      uint8_t* own = fresh(2 * kPage);
      own[kPage - ours] = 1;
      pid = waiting_child([=] { CHECK_EQ(msg_recv(MSG_ANY, page + kPage - theirs, 100, nullptr, 0, nullptr), 100); });
      CHECK_EQ(send_to(pid, own + kPage - ours, 100), 100);
      CHECK_EXIT(pid, 0);
      CHECK_OK(munmap(own, 2 * kPage));
      own = fresh(2 * kPage);
      own[kPage - ours] = 1;
      pid = waiting_child([=] { CHECK_EQ(send_to(parent, page + kPage - theirs, 100), 100); });
      CHECK_EQ(msg_recv(pid, own + kPage - ours, 100, nullptr, 0, nullptr), 100);
      CHECK_EXIT(pid, 0);
      CHECK_OK(munmap(own, 2 * kPage));
    }
}

// Who was called, and does not run yet, is not forgotten for a real-time thread.
TEST(who_is_called_runs_although_a_real_time_thread_never_sleeps) {
  if (geteuid() != 0) SKIP("not root");
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  CHECK_OK(sched_setaffinity(0, sizeof one, &one));
  pid_t server = waiting_child([] {
    uint32_t number;
    msg_sender sender;
    CHECK_EQ(receive_word(MSG_ANY, number, &sender), 4);
    while (number != 20) CHECK_EQ(faultline::answer_and_receive(sender, number, number).error(), 0);
    CHECK_EQ(send_word(sender.identity, number), 4);
  });
  pid_t spinner = in_child([] {
    sched_param urgent = {1};
    CHECK_OK(sched_setscheduler(0, SCHED_FIFO, &urgent));
    for (;;) asm volatile("");
  });
  for (uint32_t i = 1; i <= 20; i++) {
    uint32_t answer = 0;
    CHECK_EQ(faultline::call(server, i, answer).error(), 0);
    CHECK_EQ(answer, i);
    usleep(1000);
  }
  CHECK_EXIT(server, 0);
  CHECK_OK(kill(spinner, SIGKILL));
  CHECK_OK(waitpid(spinner, nullptr, 0));
}

TEST(pages_that_are_not_there_come) {
  constexpr uint32_t kBytes = 40 * kPage;
  pid_t parent = getpid();
  // From a file's mapping, never touched, to pages that are shared copy-on-write with a child.
  int fd = CHECK_OK(open("file", O_CREAT | O_RDWR, 0600));
  uint8_t* data = fresh(kBytes);
  fill(data, kBytes, 9);
  CHECK_EQ(write(fd, data, kBytes), kBytes);
  uint8_t* buffer = fresh(kBytes);
  memset(buffer, 1, kBytes);
  pid_t witness = waiting_child([] { pause(); });
  for (bool receiver_first : {false, true}) {
    pid_t pid = in_child([=] {
      auto* mapped = static_cast<uint8_t*>(mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE, fd, 0));
      CHECK(mapped != MAP_FAILED);
      if (receiver_first) wait_state(parent, "S");
      CHECK_EQ(send_to(parent, mapped, kBytes), kBytes);
    });
    if (!receiver_first) wait_state(pid, "S");
    memset(buffer, 1, kBytes);
    CHECK_EQ(msg_recv(pid, buffer, kBytes, nullptr, 0, nullptr), kBytes);
    check_filled(buffer, kBytes, 9);
    CHECK_EXIT(pid, 0);
  }
  CHECK_OK(kill(witness, SIGKILL));
  CHECK_OK(waitpid(witness, nullptr, 0));
  // Into memory that may only be read.
  CHECK_OK(mprotect(buffer, kBytes, PROT_READ));
  pid_t pid = waiting_child([=] { CHECK_EQ(send_to(parent, data, kBytes), kBytes); });
  CHECK_EQ(msg_recv(pid, buffer, kBytes, nullptr, 0, nullptr), -EFAULT);
  CHECK_OK(mprotect(buffer, kBytes, PROT_READ | PROT_WRITE));
  CHECK_EQ(msg_recv(pid, buffer, kBytes, nullptr, 0, nullptr), kBytes);
  CHECK_EXIT(pid, 0);
}

TEST(a_descriptor_tells_that_somebody_sends) {
  pid_t parent = getpid();
  int fd = msg_fd(O_CLOEXEC), poller = CHECK_OK(epoll_create1(0));
  CHECK(fd >= 0);
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(msg_fd(1), -EINVAL);
  epoll_event event = {EPOLLIN, {}}, got = {};
  CHECK_OK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event));
  pollfd entry = {fd, POLLIN | POLLOUT, 0};
  CHECK_EQ(poll(&entry, 1, 0), 0);
  pid_t pid = in_child([=] { CHECK_EQ(send_word(parent, 5), 4); });
  CHECK_EQ(poll(&entry, 1, 10'000), 1);
  CHECK_EQ(entry.revents, POLLIN);
  CHECK_EQ(epoll_wait(poller, &got, 1, 10'000), 1);
  take_word(MSG_ANY, 5);
  CHECK_EQ(poll(&entry, 1, 0), 0);
  CHECK_EQ(epoll_wait(poller, &got, 1, 0), 0);
  CHECK_EXIT(pid, 0);
  char byte;
  CHECK_ERR(read(fd, &byte, 1), EINVAL);
  // Of a thread that ends.
  static int of_thread;
  pthread_t thread;
  CHECK_EQ(pthread_create(
               &thread, nullptr, [](void*) -> void* { return of_thread = msg_fd(0), nullptr; }, nullptr),
           0);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  entry.fd = of_thread;
  CHECK_EQ(poll(&entry, 1, 10'000), 1);
  CHECK_EQ(entry.revents, POLLHUP);
}

TEST(all_descriptors_of_a_thread_tell_the_same) {
  pid_t parent = getpid();
  int one = msg_fd(0), other = msg_fd(O_CLOEXEC);
  CHECK(one >= 0 && other >= 0 && one != other);
  CHECK_EQ(fcntl(one, F_GETFD), 0);
  CHECK_EQ(fcntl(other, F_GETFD), FD_CLOEXEC);
  pid_t pid = waiting_child([=] { CHECK_EQ(send_word(parent, 1), 4); });
  pollfd entries[2] = {{one, POLLIN, 0}, {other, POLLIN, 0}};
  CHECK_EQ(poll(entries, 2, 0), 2);
  CHECK_OK(close(one));
  CHECK_EQ(poll(entries + 1, 1, 0), 1);
  CHECK_OK(close(other));
  entries[0].fd = msg_fd(0);  // a new one, for all are gone
  CHECK_EQ(poll(entries, 1, 0), 1);
  take_word(pid, 1);
  CHECK_EQ(poll(entries, 1, 0), 0);
  CHECK_EXIT(pid, 0);
}

// A priority of 10 waits for one of 1, which a priority of 5 would keep from running.
TEST(who_waits_for_one_lends_it_its_priority) {
  if (geteuid() != 0) SKIP("not root");
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  CHECK_OK(sched_setaffinity(0, sizeof one, &one));
  auto be_urgent = [](int priority) {
    const sched_param how = {priority};
    CHECK_OK(sched_setscheduler(0, SCHED_FIFO, &how));
  };
  auto* state = static_cast<volatile uint32_t*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  for (bool sends : {true, false}) {
    state[0] = 0;
    state[1] = 0;
    be_urgent(20);
    pid_t low = in_child([=] {
      be_urgent(1);
      while (state[0] == 0) usleep(1000);
      const pid_t high = pid_t(state[0]);
      // Until the middle one is on its way.
      timespec now, end;
      CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &end));
      do CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &now));
      while ((now.tv_sec - end.tv_sec) * 1000 + (now.tv_nsec - end.tv_nsec) / 1'000'000 < 300);
      if (sends)
        take_word(pid_t(high), 1);
      else
        CHECK_EQ(send_word(uint32_t(high), 1), 4);
    });
    pid_t high = in_child([=] {
      be_urgent(10);
      state[0] = uint32_t(getpid());
      if (sends)
        CHECK_EQ(send_word(low, 1), 4);
      else
        take_word(low, 1);
      state[1] = 1;
    });
    pid_t middle = in_child([=] {
      be_urgent(5);
      usleep(100'000);
      for (int turn = 0; state[1] == 0; turn++) CHECK(turn < 100'000'000);
    });
    const sched_param usual = {0};
    CHECK_OK(sched_setscheduler(0, SCHED_OTHER, &usual));
    CHECK_EXIT(high, 0);
    CHECK_EXIT(low, 0);
    CHECK_EXIT(middle, 0);
  }
}

TEST(bad_arguments) {
  uint32_t word = 0;
  CHECK_EQ(msg_send(getppid(), &word, 4, 8, nullptr), -EINVAL);
  CHECK_EQ(msg_send(getppid(), &word, 4, MSG_MOVE, nullptr), -EINVAL);  // not yet
  CHECK_EQ(msg_recv(MSG_ANY, &word, 4, nullptr, 8, nullptr), -EINVAL);
  CHECK_EQ(msg_send(getppid(), &word, (16u << 20) + 1, 0, nullptr), -EMSGSIZE);
  CHECK_EQ(msg_send(0, &word, 4, 0, nullptr), -ESRCH);
  CHECK_EQ(msg_send(40'000, &word, 4, 0, nullptr), -ESRCH);
  CHECK_EQ(msg_send(0x7fffffff, &word, 4, 0, nullptr), -ESRCH);
  const msg_timeout negative = {-1, 0}, crooked = {0, 1'000'000'000};
  CHECK_EQ(msg_recv(MSG_ANY, &word, 4, nullptr, 0, &negative), -EINVAL);
  CHECK_EQ(msg_recv(MSG_ANY, &word, 4, nullptr, 0, &crooked), -EINVAL);
  CHECK_EQ(msg_recv(MSG_ANY, &word, 4, nullptr, 0, reinterpret_cast<msg_timeout*>(4)), -EFAULT);
  CHECK_EQ(msg_call(getppid(), reinterpret_cast<msg_exchange*>(4), 0, nullptr), -EFAULT);
  CHECK_EQ(msg_system_call(0x1004, 0, 0, 0, 0, 0, 0), -ENOSYS);
  CHECK_EQ(msg_system_call(0xfff, 0, 0, 0, 0, 0, 0), -ENOSYS);
}

TEST(whoever_waits_runs_at_once_on_the_senders_processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  CHECK_OK(sched_setaffinity(0, sizeof one, &one));
  auto* count = static_cast<volatile uint32_t*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  pid_t busy = in_child([=] {  // who is first in line otherwise
    for (;;) count[1] = count[1] + 1;
  });
  pid_t pid = waiting_child([=] {
    for (uint32_t word = 0; word != 100;) {
      CHECK_EQ(receive_word(MSG_ANY, word), 4);
      count[0] = word;
    }
  });
  uint32_t at_once = 0;
  for (uint32_t i = 1; i <= 100; i++) {
    CHECK_EQ(send_word(pid, i), 4);
    at_once += count[0] == i;
  }
  CHECK_EXIT(pid, 0);
  CHECK_OK(kill(busy, SIGKILL));
  CHECK_OK(waitpid(busy, nullptr, 0));
  CHECK(at_once >= 95);  // a tick may come between
}

namespace {
uint32_t g_seed;
uint32_t random_below(uint32_t limit) {
  g_seed = g_seed * 1664525 + 1013904223;
  return (g_seed >> 8) % limit;
}

// One of several who send to each other at random, with time-outs, calls and signals, until told to stop. A message carries its length and seed.
struct Crowd {
  static constexpr uint32_t kMost = 8, kLongestHere = 20'000;
  volatile pid_t members[kMost];
  volatile uint32_t stop, sent[kMost], received[kMost];
};
void check_message(const uint8_t* buffer, int32_t bytes, const msg_sender& sender) {
  CHECK(bytes >= 4);
  CHECK_EQ(sender.length, bytes);
  uint32_t seed;
  memcpy(&seed, buffer, 4);
  check_filled(buffer + 4, uint32_t(bytes) - 4, seed);
}
void live_in(Crowd& crowd, uint32_t self, uint32_t count) {
  static uint8_t data[Crowd::kLongestHere], buffer[Crowd::kLongestHere];
  g_seed = self + 1;
  while (crowd.members[count - 1] == 0) usleep(1000);
  while (!crowd.stop) {
    const msg_timeout timeout = {0, int64_t(random_below(3'000'000))};
    msg_sender sender = {};
    int32_t result;
    if (random_below(2)) {
      const uint32_t peer = (self + 1 + random_below(count - 1)) % count;
      const uint32_t length = 4 + (random_below(2) ? random_below(100) : random_below(Crowd::kLongestHere - 4)),
                     seed = random_below(1 << 20);
      memcpy(data, &seed, 4);
      fill(data + 4, length - 4, seed);
      if (random_below(4) == 0) {
        const msg_exchange exchange = {data,   length,        random_below(2) ? MSG_ANY : uint32_t(crowd.members[peer]),
                                       buffer, sizeof buffer, &sender};
        result = msg_call(crowd.members[peer], &exchange, 0, &timeout);
        if (result >= 0) check_message(buffer, result, sender);
      } else {
        result = msg_send(crowd.members[peer], data, length, random_below(4) ? 0 : uint32_t(MSG_TRY), &timeout);
        if (result >= 0) {
          CHECK_EQ(result, length);
          crowd.sent[self] = crowd.sent[self] + 1;
        }
      }
    } else {
      const uint32_t from = random_below(3) ? uint32_t(MSG_ANY) : uint32_t(crowd.members[(self + 1) % count]);
      result = msg_recv(from, buffer, sizeof buffer, &sender, 0, &timeout);
      if (result >= 0) {
        check_message(buffer, result, sender);
        crowd.received[self] = crowd.received[self] + 1;
      }
    }
    if (result < 0) CHECK(result == -ETIMEDOUT || result == -EAGAIN || result == -EDEADLK || result == -EINTR || result == -ESRCH);
  }
}
}  // namespace

TEST_SLOW(a_crowd_that_sends_to_each_other) {
  auto* crowd = static_cast<Crowd*>(mmap(nullptr, sizeof(Crowd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const uint32_t kMessages = scale(2000);
  for (uint32_t i = 0; i < Crowd::kMost; i++) crowd->members[i] = in_child([=] { live_in(*crowd, i, Crowd::kMost); });
  auto total = [&](volatile uint32_t* counts) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < Crowd::kMost; i++) sum += counts[i];
    return sum;
  };
  g_seed = 99;
  while (total(crowd->received) < kMessages) {  // now and then one is killed in the middle, and another takes its place
    usleep(20'000);
    const uint32_t victim = random_below(Crowd::kMost);
    kill(crowd->members[victim], SIGKILL);
    CHECK_OK(waitpid(crowd->members[victim], nullptr, 0));
    crowd->members[victim] = in_child([=] { live_in(*crowd, victim, Crowd::kMost); });
  }
  crowd->stop = 1;
  for (uint32_t i = 0; i < Crowd::kMost; i++) CHECK_EXIT(crowd->members[i], 0);
  CHECK(total(crowd->sent) > kMessages / 4);
}
