// Lectures D2 and D3: who writes a page after fork gets a copy while others use it; the last user gets the page itself.
#include "user/demo/exercise.h"

struct Seen {
  long faults;
  bool same_frame;
  bool intact;
};

// Writes to the page, and looks at what that took.
static Seen write_to(volatile char* page, char value, char neighbour) {
  uint64_t before = frame_of(const_cast<char*>(page));
  long faults = minor_faults();
  page[0] = value;
  faults = minor_faults() - faults;
  return {faults, frame_of(const_cast<char*>(page)) == before, page[1] == neighbour};
}

int main() {
  auto* page = static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  auto* result = static_cast<Seen*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (page == MAP_FAILED || result == MAP_FAILED) give_up("mmap");
  memset(page, 'p', kPage);
  uint64_t frame = frame_of(page);
  write_to(page, 'p', 'p');  // what is used below has been touched once
  question("D2, D3. A process with a written page forks. The child writes the page; then, the child gone, the parent does.");
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    frame_of(page), minor_faults();  // the child's own first steps are over
    bool shared = frame_of(page) == frame;
    *result = write_to(page, 'c', 'p');
    _exit(shared ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  bool parents_intact = page[0] == 'p';
  Seen parent = write_to(page, 'P', 'p');
  expect("after fork both see the same frame", 1, status == 0);
  expect("D2: page faults for the child's write", 1, result->faults);
  expect("D2: the child's page is another frame now", 1, !result->same_frame);
  expect("D2: with the old contents beside the new byte", 1, result->intact);
  expect("the parent's page is as it was", 1, parents_intact && frame_of(page) == frame);
  expect("D3: page faults for the parent's write, as the last user", 1, parent.faults);
  expect("D3: its frame is the same: nothing was copied", 1, parent.same_frame && parent.intact);
  return answer("A write copies what is shared, and only makes writable what has no other user.");
}
