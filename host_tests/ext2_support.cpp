// What the ext2 tests stand on: see ext2_support.h.
#include "ext2_support.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "arch/mmu.h"
#include "mm/io_buffer.h"
#include "support/emulated_machine.h"

namespace faultline {

void MemoryDisk::submit(BlockRequest& request) {
  if (++requests > most_requests) PANIC("the disk is asked without end");
  host::machine_defer([this, &request] { serve(request); });
}

void MemoryDisk::serve(BlockRequest& request) {
  Result<void> status;
  uint64_t at = request.sector * kSectorSize;
  if (request.operation == BlockOperation::kFlush) flushes++;
  if (request.operation != BlockOperation::kFlush) {
    uint64_t& successes = request.operation == BlockOperation::kWrite ? fail_writes_after : fail_reads_after;
    if (successes == 0) {
      failures++;
      status = Errno::kIO;
    } else {
      successes--;
    }
  }
  for (uint32_t i = 0; status.ok() && i < request.segment_count; i++) {
    const BlockSegment& segment = request.segments[i];
    uint8_t* memory = direct_map_bytes(segment.address.frame()) + (segment.address.value() & kPageMask);
    EXPECT_LE(at + segment.bytes, bytes_.size());
    if (request.operation == BlockOperation::kWrite)
      std::copy(memory, memory + segment.bytes, bytes_.begin() + static_cast<ptrdiff_t>(at));
    else
      std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(at), segment.bytes, memory);
    at += segment.bytes;
  }
  request.complete(request, status);
}

CommandResult run_command(const std::string& command) {
  CommandResult result;
  FILE* pipe = popen(("PATH=$PATH:/sbin:/usr/sbin; { " + command + "; } 2>&1").c_str(), "r");
  char buffer[4096];
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) result.output.append(buffer, got);
  int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

Ext2Test::Ext2Test() {
  host::machine_start({.frames = 24'000, .cpus = 1});
  std::string pattern = ::testing::TempDir() + "ext2-XXXXXX";
  folder = mkdtemp(pattern.data());
}

Ext2Test::~Ext2Test() {
  if (file_system) unmount();
  disk.reset();
  run_command("rm -rf " + folder);
}

std::vector<uint8_t> Ext2Test::make_image(const std::string& options, uint32_t kibibytes, const std::string& from) {
  std::string path = folder + "/image";
  std::string tree = from.empty() ? "" : " -d " + from;
  CommandResult made =
      run_command("rm -f " + path + "; mke2fs -q -F " + options + tree + " " + path + " " + std::to_string(kibibytes) + "k");
  EXPECT_EQ(made.status, 0) << made.output;
  return image_file();
}

std::vector<uint8_t> Ext2Test::image_file() {
  std::ifstream file(folder + "/image", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void Ext2Test::use_image(std::vector<uint8_t> bytes) { disk = std::make_unique<MemoryDisk>(std::move(bytes)); }

Result<FileSystem*> Ext2Test::try_mount(uint32_t flags) { return Ext2FileSystem::mount(disk.get(), flags, {}); }

void Ext2Test::mount(uint32_t flags) {
  Result<FileSystem*> mounted = try_mount(flags);
  ASSERT_TRUE(mounted.ok()) << static_cast<int>(mounted.error());
  file_system = mounted.value();
}

void Ext2Test::unmount() {
  Result<void> result = file_system->unmount();
  EXPECT_TRUE(result.ok()) << static_cast<int>(result.error());
  file_system = nullptr;
}

CommandResult Ext2Test::fsck() {
  std::ofstream(folder + "/image", std::ios::binary)
      .write(reinterpret_cast<const char*>(disk->bytes().data()), static_cast<std::streamsize>(disk->bytes().size()));
  return run_command("e2fsck -fn " + folder + "/image");
}

void Ext2Test::expect_clean() {
  if (file_system) unmount();
  CommandResult result = fsck();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(result.output.find("not cleanly unmounted"), std::string::npos) << result.output;
}

std::string Ext2Test::debugfs(const std::string& command) {
  std::ofstream(folder + "/image", std::ios::binary)
      .write(reinterpret_cast<const char*>(disk->bytes().data()), static_cast<std::streamsize>(disk->bytes().size()));
  return run_command("debugfs -R '" + command + "' " + folder + "/image 2>/dev/null").output;
}

static StringView view(const std::string& text) { return {text.data(), text.size()}; }

Result<Ref<Inode>> Ext2Test::create(Inode& directory, const std::string& name) {
  LockGuard guard(directory.content_lock());
  return directory.create(view(name), 0100644, {}, who);
}

Result<Ref<Inode>> Ext2Test::make_directory(Inode& directory, const std::string& name) {
  LockGuard guard(directory.content_lock());
  return directory.make_directory(view(name), 0755, who);
}

Result<void> Ext2Test::unlink(Inode& directory, const std::string& name) {
  Ref<Inode> target;  // outlives the lock
  LockGuard guard(directory.content_lock());
  target = TRY(directory.lookup(view(name)));
  return directory.unlink(view(name), *target);
}

Result<void> Ext2Test::remove_directory(Inode& directory, const std::string& name) {
  Ref<Inode> target;
  LockGuard guard(directory.content_lock());
  target = TRY(directory.lookup(view(name)));
  return directory.remove_directory(view(name), *target);
}

Result<void> Ext2Test::rename(Inode& from, const std::string& name, Inode& to, const std::string& new_name) {
  Ref<Inode> moved = TRY(from.lookup(view(name)));
  Result<Ref<Inode>> replaced = to.lookup(view(new_name));
  if (!replaced.ok() && replaced.error() != Errno::kNOENT) return replaced.error();
  return from.rename(view(name), *moved, to, view(new_name), replaced.ok() ? replaced.value().get() : nullptr);
}

Result<size_t> Ext2Test::write(Inode& file, uint64_t offset, const std::string& text) {
  LockGuard guard(file.content_lock());
  IoBuffer buffer = IoBuffer::kernel(const_cast<char*>(text.data()), text.size());
  file.touch_modified();
  return file.object()->write(offset, buffer);
}

std::string Ext2Test::read_all(Inode& file) {
  std::string text(static_cast<size_t>(file.attributes().size), '?');
  IoBuffer buffer = IoBuffer::kernel(text.data(), text.size());
  Result<size_t> got = file.object()->read(0, buffer);
  EXPECT_TRUE(got.ok()) << static_cast<int>(got.error());
  if (got.ok()) text.resize(got.value());
  return text;
}

Result<std::vector<std::string>> Ext2Test::names(Inode& directory) {
  struct Sink final : DirectorySink {
    bool put(StringView name, uint64_t, FileType, uint64_t) override {
      std::string text(name.data(), name.size());
      if (text != "." && text != ".." && text != "lost+found") list.push_back(text);
      return true;
    }
    std::vector<std::string> list;
  } sink;
  TRY(directory.read_directory(0, sink));
  std::sort(sink.list.begin(), sink.list.end());
  return sink.list;
}

Result<void> Ext2Test::truncate(Inode& file, uint64_t bytes) {
  AttributeChange change;
  change.which = AttributeChange::kSize;
  change.size = bytes;
  return file.set_attributes(change);
}

}  // namespace faultline
