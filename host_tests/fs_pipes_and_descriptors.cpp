// Pipes against a count of bytes, descriptor tables against a set of numbers, locks against a byte map, all under random operations.
#include <algorithm>
#include <cstring>
#include <vector>

#include "fs/file_locks.h"
#include "fs/pipe.h"
#include "fs_support.h"
#include "support/process.h"

namespace faultline {

class Pipes : public TreeTest {};

TEST_F(Pipes, BytesComeOutInOrderUnderRandomSizes) {
  uint32_t before = free_frames();
  {
    PipeEnds ends = pipe_create(kOpenNonBlocking, who).release_value();
    constexpr size_t kMost = 150'000, kPeriod = 256;
    std::vector<uint8_t> memory(kMost), pattern(kMost + kPeriod);  // what the stream holds, from any place of a period on
    for (size_t i = 0; i < pattern.size(); i++) pattern[i] = static_cast<uint8_t>(i * 31);
    size_t written = 0, read = 0, capacity = Pipe::kDefaultBytes;
    Dice dice(7);
    for (int step = 0; step < 5000; step++) {
      size_t bytes = dice.below(3) == 0 ? dice.below(kMost) : dice.below(6000);
      if (dice.below(2) == 0) {
        IoBuffer buffer = IoBuffer::kernel(pattern.data() + written % kPeriod, bytes);
        Result<size_t> moved = ends.writer->write(buffer);
        size_t room = capacity - (written - read);
        size_t expected = bytes <= Pipe::kAtomic ? (bytes <= room ? bytes : 0) : (bytes < room ? bytes : room);
        if (expected == 0 && bytes != 0) {
          ASSERT_FALSE(moved.ok());
          EXPECT_EQ(moved.error(), Errno::kAGAIN);
        } else {
          ASSERT_EQ(moved.value_or(0), expected);
          written += expected;
        }
      } else {
        IoBuffer buffer = IoBuffer::kernel(memory.data(), bytes);
        Result<size_t> moved = ends.reader->read(buffer);
        size_t expected = std::min(bytes, written - read);
        if (expected == 0 && bytes != 0) {
          EXPECT_EQ(moved.error(), Errno::kAGAIN);
        } else {
          ASSERT_EQ(moved.value_or(~0u), expected);
          ASSERT_EQ(memcmp(memory.data(), pattern.data() + read % kPeriod, expected), 0);
          read += expected;
        }
      }
      if (dice.below(50) == 0) {
        uint32_t wanted = 4096u << dice.below(6);
        Result<uint32_t> changed = pipe_of(*ends.reader)->set_capacity(wanted);
        if (changed.ok()) capacity = changed.value();
        if (wanted < written - read) {
          EXPECT_FALSE(changed.ok());
        }
      }
      ASSERT_EQ(pipe_of(*ends.writer)->bytes(), written - read);
    }
  }
  EXPECT_EQ(free_frames(), before);
}

TEST_F(Pipes, TheEndOfAnEnd) {
  PipeEnds ends = pipe_create(0, who).release_value();
  char text[10] = "abc";
  IoBuffer out = IoBuffer::kernel(text, 3);
  EXPECT_EQ(ends.writer->write(out).value_or(0), 3u);
  EXPECT_EQ(ends.reader->poll(nullptr), kPollIn | kPollReadNormal);
  ends.writer = nullptr;
  EXPECT_EQ(ends.reader->poll(nullptr), kPollIn | kPollReadNormal | kPollHangUp);
  IoBuffer in = IoBuffer::kernel(text, sizeof text);
  EXPECT_EQ(ends.reader->read(in).value_or(0), 3u);
  IoBuffer again = IoBuffer::kernel(text, sizeof text);
  EXPECT_EQ(ends.reader->read(again).value_or(9), 0u);

  PipeEnds other = pipe_create(0, who).release_value();
  other.reader = nullptr;
  IoBuffer lost = IoBuffer::kernel(text, 3);
  EXPECT_EQ(other.writer->write(lost).error(), Errno::kPIPE);
  EXPECT_EQ(host::process_signals, 1u);
  EXPECT_TRUE(other.writer->poll(nullptr) & kPollError);
}

class Descriptors : public TreeTest {};

TEST_F(Descriptors, TheLowestFreeNumberIsGivenAlways) {
  uint32_t before = free_frames();
  {
    Ref<DescriptorTable> table = DescriptorTable::create().release_value();
    Ref<File> file;
    ASSERT_EQ(open("f", kOpenCreate | kOpenReadWrite, &file), 0);
    enum class Slot : uint8_t { kClosed, kOpen, kClosedByExec };
    constexpr uint32_t kNumbers = 5200, kLimit = 5000;
    std::vector<Slot> model(kNumbers + 101, Slot::kClosed);
    auto is_open = [&](uint32_t number) { return model[number] != Slot::kClosed; };
    auto lowest = [&](uint32_t from) {
      return static_cast<uint32_t>(std::find(model.begin() + from, model.end(), Slot::kClosed) - model.begin());
    };
    Dice dice(3);
    for (int step = 0; step < 40'000; step++) {
      uint32_t number = dice.below(4) == 0 ? dice.below(kNumbers) : dice.below(80);
      CloseOnExec flag = dice.below(2) ? CloseOnExec::kYes : CloseOnExec::kNo;
      Slot opened = flag == CloseOnExec::kYes ? Slot::kClosedByExec : Slot::kOpen;
      switch (dice.below(6)) {
        case 0:
        case 1:
        case 2: {
          uint32_t minimum = dice.below(3) == 0 ? number : 0;
          Result<uint32_t> got = table->add(file, flag, kLimit, minimum);
          uint32_t expected = lowest(minimum);
          if (expected >= kLimit) {
            EXPECT_EQ(got.error(), Errno::kMFILE);
          } else {
            ASSERT_EQ(got.value_or(~0u), expected);
            model[expected] = opened;
          }
          break;
        }
        case 3:
          EXPECT_EQ(table->close(number).ok(), is_open(number));
          model[number] = Slot::kClosed;
          break;
        case 4:
          EXPECT_EQ(table->replace(number, file, flag, kLimit).ok(), number < kLimit);
          if (number < kLimit) model[number] = opened;
          break;
        default: {
          ASSERT_EQ(table->get(number).ok(), is_open(number));
          if (dice.below(500) == 0) {
            table = table->copy().release_value();
          } else if (dice.below(500) == 0) {
            table->close_for_exec();
            std::replace(model.begin(), model.end(), Slot::kClosedByExec, Slot::kClosed);
          } else if (dice.below(500) == 0) {
            table->close_range(number, number + 100);
            std::fill_n(model.begin() + number, 101, Slot::kClosed);
          }
        }
      }
    }
    const auto open = static_cast<uint32_t>(model.size() - static_cast<size_t>(std::count(model.begin(), model.end(), Slot::kClosed)));
    EXPECT_EQ(file->reference_count(), open + 1);
    uint32_t found = 0;
    for (uint32_t i = table->next_open(0); i < DescriptorTable::kLimit; i = table->next_open(i + 1)) found += is_open(i);
    EXPECT_EQ(found, open);
    table = nullptr;
    EXPECT_EQ(file->reference_count(), 1u);
  }
  ASSERT_EQ(unlink("f"), 0);
  EXPECT_EQ(free_frames(), before);
}

TEST_F(Descriptors, AFullTableIsAnError) {
  Ref<DescriptorTable> table = DescriptorTable::create().release_value();
  for (uint32_t i = 0; i < 20; i++) ASSERT_TRUE(table->reserve(20).ok());
  EXPECT_EQ(table->reserve(20).error(), Errno::kMFILE);
  EXPECT_FALSE(table->get(5).ok());
  table->cancel(5);
  EXPECT_EQ(table->reserve(20).value_or(99), 5u);
  for (uint32_t i = 0; i < 20; i++) table->cancel(i);
}

// Bytes 0 to 63, three owners.
class FileLocksTest : public TreeTest {};

TEST_F(FileLocksTest, RecordsSplitAndMergeAsAByteMapSays) {
  FileLocks* locks = FileLocks::create().release_value();
  constexpr uint32_t kBytes = 64, kOwners = 3;
  int owners[kOwners];
  int model[kOwners][kBytes] = {};  // 0 none, 1 read, 2 write
  Dice dice(11);
  for (int step = 0; step < 20'000; step++) {
    uint32_t owner = dice.below(kOwners), first = dice.below(kBytes), last = first + dice.below(kBytes - first);
    LockRange range{first, last};
    uint32_t action = dice.below(4);
    if (action == 3) {
      locks->drop_owner(&owners[owner]);
      for (int& byte : model[owner]) byte = 0;
      continue;
    }
    if (action == 2) {
      ASSERT_TRUE(locks->clear(LockFamily::kRecord, range, &owners[owner]).ok());
      for (uint32_t i = first; i <= last; i++) model[owner][i] = 0;
      continue;
    }
    int kind = static_cast<int>(action) + 1;
    bool conflicts = false;
    for (uint32_t o = 0; o < kOwners; o++)
      for (uint32_t i = first; i <= last; i++) conflicts |= o != owner && model[o][i] != 0 && (kind == 2 || model[o][i] == 2);
    FileLockKind lock_kind = kind == 1 ? FileLockKind::kRead : FileLockKind::kWrite;
    FileLock found;
    EXPECT_EQ(locks->find_conflict(LockFamily::kRecord, lock_kind, range, &owners[owner], found), conflicts);
    Result<void> set = locks->set(LockFamily::kRecord, lock_kind, range, &owners[owner], 1, false);
    ASSERT_EQ(set.ok(), !conflicts) << step;
    if (set.ok())
      for (uint32_t i = first; i <= last; i++) model[owner][i] = kind;
    EXPECT_FALSE(locks->find_conflict(LockFamily::kWholeFile, FileLockKind::kWrite, {}, &owners[owner], found));
  }
  FileLocks::destroy(locks);
}

}  // namespace faultline
