// What the tests of names and files stand on: see fs_support.h.
#include "fs_support.h"

#include "fs/anonymous.h"
#include "fs/tmpfs/tmpfs.h"
#include "mm/frames.h"
#include "mm/io_buffer.h"
#include "support/emulated_machine.h"
#include "support/process.h"

namespace faultline {

TreeTest::TreeTest() {
  host::machine_start({.frames = 8192, .cpus = 1});
  dentries_initialize();
  mounts_initialize();
  rename_initialize();
  anonymous_initialize();
  tmpfs_initialize();
  host::process_signals = 0;
  Ref<Mount> root = mount_create("tmpfs", nullptr, "tmpfs", 0, "").release_value();
  EXPECT_TRUE(root->attach({}).ok());
  set_root_path({root, root->root()});
  names = NameContext::create(root_path()).release_value();
  names->set_umask(0);
  // The root's table of names comes with its first name and stays: tests that count frames start after it.
  EXPECT_EQ(make_directory("/first"), 0);
  EXPECT_EQ(remove_directory("/first"), 0);
}

TreeTest::~TreeTest() { names = nullptr; }

int TreeTest::open(const std::string& name, uint32_t flags, Ref<File>* file) {
  Result<Ref<File>> opened = path_open(caller(), view(name), flags, 0666);
  if (!opened.ok()) return static_cast<int>(opened.error());
  if (file) *file = opened.release_value();
  return 0;
}

int TreeTest::link(const std::string& from, const std::string& to) {
  Result<Path> target = path_resolve(caller(), view(from), FollowLast::kNo);
  if (!target.ok()) return static_cast<int>(target.error());
  return code(path_link(target.value(), caller(), view(to)));
}

int TreeTest::look(const std::string& name, FollowLast follow) {
  Result<Path> path = path_resolve(caller(), view(name), follow);
  return path.ok() ? 0 : static_cast<int>(path.error());
}

std::string TreeTest::current_name() {
  char buffer[kPathLimit];
  Result<StringView> text = path_text(names->current(), names->root(), buffer);
  return text.ok() ? std::string(text.value().data(), text.value().size()) : "error " + std::to_string(static_cast<int>(text.error()));
}

std::string TreeTest::content(const std::string& name) {
  Ref<File> file;
  if (int error = open(name, kOpenReadOnly, &file)) return "error " + std::to_string(error);
  std::string text(100'000, '\0');
  IoBuffer buffer = IoBuffer::kernel(text.data(), text.size());
  text.resize(file->read(buffer).release_value());
  return text;
}

void TreeTest::put(const std::string& name, const std::string& text) {
  Ref<File> file;
  ASSERT_EQ(open(name, kOpenCreate | kOpenTruncate | kOpenWriteOnly, &file), 0);
  std::string copy = text;
  IoBuffer buffer = IoBuffer::kernel(copy.data(), copy.size());
  ASSERT_EQ(file->write(buffer).release_value(), text.size());
}

uint32_t TreeTest::free_frames() {
  dentries_shrink();
  slab_drain();
  return frame_statistics().free;
}

}  // namespace faultline
