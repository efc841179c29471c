// /dev/kmsg and syslog(2): records in, records out, one at a time.
#include <sys/klog.h>

#include "user/tests/harness.h"

namespace {

constexpr size_t kRecordBytes = 8192;  // more than any

int open_log(int flags) {
  int fd = open("/dev/kmsg", flags);
  if (fd < 0 && !on_faultline()) SKIP("no kernel log for this user");
  return CHECK_OK(fd);
}

struct Record {
  unsigned priority;
  unsigned long long sequence, microseconds;
  char text[kRecordBytes];
};

// False at the end. What was overwritten meanwhile is passed over.
bool next_record(int fd, Record& record) {
  static char line[kRecordBytes];
  ssize_t n;
  while ((n = read(fd, line, sizeof line - 1)) == -1 && errno == EPIPE) {
  }
  if (n == -1 && errno == EAGAIN) return false;
  CHECK_OK(n);
  line[n] = 0;
  CHECK_EQ(line[n - 1], '\n');
  char* text = strchr(line, ';');
  CHECK(text && sscanf(line, "%u,%llu,%llu,", &record.priority, &record.sequence, &record.microseconds) == 3);
  strcpy(record.text, text + 1);
  *strchr(record.text, '\n') = 0;  // what follows are a device's properties
  return true;
}

// The record whose text begins with this, from the reader's place on.
Record& find_record(int fd, const char* start) {
  static Record record;
  while (next_record(fd, record))
    if (!strncmp(record.text, start, strlen(start))) return record;
  FAIL("no record '%s'", start);
}

// A beginning that no other line has.
const char* unique() {
  static char text[40];
  static int count;
  snprintf(text, sizeof text, "kernel_log-%d-%d:", getpid(), count++);
  return text;
}

// A line; without its end Linux waits for the rest before it shows it.
void put(int fd, const char* text) {
  char line[200];
  int n = snprintf(line, sizeof line, "%s\n", text);
  CHECK_EQ(write(fd, line, n), n);
}

}  // namespace

TEST(a_line_that_is_written_can_be_read) {
  int in = open_log(O_WRONLY), out = open_log(O_RDONLY | O_NONBLOCK);
  struct {
    const char* prefix;
    unsigned priority;
  } const cases[] = {{"", 8 + 4}, {"<5>", 8 + 5}, {"<35>", 35}, {"<x>", 8 + 4}};
  for (auto& each : cases) {
    char line[100];
    const char* start = unique();
    CHECK_OK(lseek(out, 0, SEEK_END));
    snprintf(line, sizeof line, "%s%s hello", each.prefix, start);
    put(in, line);
    Record& record = find_record(out, each.prefix[1] == 'x' ? "<x>" : start);
    CHECK_EQ(record.priority, each.priority);
    CHECK(strstr(record.text, ": hello"));
    CHECK_STR(strstr(record.text, ": hello"), ": hello");  // without the newline
  }
}
TEST(what_is_no_printable_line_is_escaped) {
  int in = open_log(O_WRONLY), out = open_log(O_RDONLY | O_NONBLOCK);
  char line[100];
  const char* start = unique();
  CHECK_OK(lseek(out, 0, SEEK_END));
  snprintf(line, sizeof line, "%s\x01\xc3\xa9\\\x7f.", start);
  put(in, line);
  CHECK_STR(find_record(out, start).text + strlen(start), "\\x01\\xc3\\xa9\\x5c\\x7f.");
  // Or a line break would make a record that nobody wrote.
  if (!on_faultline()) return;  // Linux makes two of it
  start = unique();
  snprintf(line, sizeof line, "%s\n0,0,0,-;forged", start);
  put(in, line);
  CHECK_STR(find_record(out, start).text + strlen(start), "\\x0a0,0,0,-;forged");
}
TEST(sequence_numbers_count_and_time_goes_on) {
  int out = open_log(O_RDONLY | O_NONBLOCK);
  Record before, now;
  CHECK(next_record(out, before));
  for (int i = 0; i < 20 && next_record(out, now); i++, before = now) {
    CHECK(now.sequence > before.sequence);
    if (on_faultline()) CHECK(now.sequence == before.sequence + 1 && now.microseconds >= before.microseconds);
  }
}
TEST(a_reader_at_the_end_waits) {
  int out = open_log(O_RDONLY);
  CHECK_OK(lseek(out, 0, SEEK_END));
  const char* start = unique();
  pid_t writer = in_child([&] {
    int in = open_log(O_WRONLY);
    pause_a_little();
    put(in, start);
  });
  CHECK_EQ(strncmp(find_record(out, start).text, start, strlen(start)), 0);
  CHECK_EXIT(writer, 0);
}
TEST(without_waiting_the_end_is_EAGAIN) {
  int out = open_log(O_RDONLY | O_NONBLOCK);
  char text[kRecordBytes];
  CHECK_OK(lseek(out, 0, SEEK_END));
  CHECK_ERR(read(out, text, sizeof text), EAGAIN);
}
TEST(poll_tells_of_new_records) {
  int in = open_log(O_WRONLY), out = open_log(O_RDONLY | O_NONBLOCK);
  pollfd p = {out, POLLIN, 0};
  CHECK_EQ(poll(&p, 1, 0), 1);
  CHECK_EQ(p.revents, POLLIN);
  CHECK_OK(lseek(out, 0, SEEK_END));
  CHECK_EQ(poll(&p, 1, 0), 0);
  const char* start = unique();
  pid_t writer = in_child([&] {
    pause_a_little();
    put(in, start);
  });
  CHECK_EQ(poll(&p, 1, -1), 1);
  CHECK_EQ(p.revents, POLLIN);
  CHECK_EXIT(writer, 0);
  find_record(out, start);
  CHECK_EQ(poll(&p, 1, 0), 0);
}
TEST(a_short_buffer_is_EINVAL_and_passes_the_record_over) {
  int in = open_log(O_WRONLY), out = open_log(O_RDONLY | O_NONBLOCK);
  CHECK_OK(lseek(out, 0, SEEK_END));
  put(in, unique());
  const char* second = unique();
  put(in, second);
  char text[5];
  CHECK_ERR(read(out, text, sizeof text), EINVAL);
  find_record(out, second);
}
TEST(seeking) {
  int out = open_log(O_RDONLY | O_NONBLOCK);
  Record first, again;
  CHECK(next_record(out, first) && next_record(out, again));
  CHECK_EQ(lseek(out, 0, SEEK_SET), 0);
  CHECK(next_record(out, again));
  CHECK_EQ(again.sequence, first.sequence);
  CHECK_EQ(lseek(out, 0, SEEK_END), 0);
  CHECK(!next_record(out, again));
  CHECK_ERR(lseek(out, 0, SEEK_CUR), EINVAL);
  CHECK_ERR(lseek(out, 1, SEEK_SET), ESPIPE);
  CHECK_ERR(lseek(out, -1, SEEK_END), ESPIPE);
}
TEST(a_line_has_its_limit) {
  int in = open_log(O_WRONLY), out = open_log(O_RDONLY | O_NONBLOCK);
  char line[2000];
  memset(line, 'x', sizeof line);
  CHECK_ERR(write(in, line, sizeof line), EINVAL);
  const char* start = unique();
  CHECK_OK(lseek(out, 0, SEEK_END));
  memcpy(line, start, strlen(start));
  line[900] = '\n';
  CHECK_EQ(write(in, line, 901), 901);
  CHECK_EQ(strlen(find_record(out, start).text), 900);
}
TEST(a_reader_that_is_too_slow_is_told_once) {
  if (!on_faultline()) SKIP("Linux lets a program write only a few lines a second");
  int in = open_log(O_WRONLY), out = open_log(O_RDONLY | O_NONBLOCK);
  Record record;
  CHECK(next_record(out, record));
  char line[900], text[kRecordBytes];
  memset(line, 'x', sizeof line);
  memcpy(line, "<7>", 3);  // not on the console
  for (int i = 0; i < 100; i++) CHECK_EQ(write(in, line, sizeof line), sizeof line);
  pollfd p = {out, POLLIN, 0};
  CHECK_EQ(poll(&p, 1, 0), 1);
  CHECK_EQ(p.revents, POLLIN | POLLERR);
  CHECK_ERR(read(out, text, sizeof text), EPIPE);
  CHECK(read(out, text, sizeof text) > 0);
  CHECK(next_record(out, record) && record.sequence > 20);
}
TEST(syslog_gives_the_newest_lines_that_fit) {
  if (!on_faultline()) SKIP("it would clear the machine's log");
  int in = open_log(O_WRONLY);
  char all[70000], last[200], start[40];
  put(in, strcpy(start, unique()));
  int n = CHECK_OK(klogctl(3, all, sizeof all - 1));
  CHECK(n > (int)sizeof last);
  all[n] = 0;
  CHECK(all[0] == '<' && all[n - 1] == '\n');
  CHECK(strstr(all, start));
  int m = CHECK_OK(klogctl(3, last, sizeof last));
  CHECK(m > 0 && m < (int)sizeof last && !memcmp(last, all + n - m, m));
  CHECK_EQ(last[0], '<');
  CHECK_OK(klogctl(5, nullptr, 0));
  CHECK_EQ(klogctl(3, all, sizeof all), 0);
  const char* second = unique();
  put(in, second);
  n = CHECK_OK(klogctl(3, all, sizeof all - 1));
  all[n] = 0;
  CHECK(strstr(all, second) && !strstr(all, start));
}
