// i386 layouts of stat(2), statx(2), statfs(2) and getdents(2). Source: the UAPI headers asm/stat.h, linux/stat.h, asm-generic/statfs.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline::abi {

// stat64 and fstatat64.
struct [[gnu::packed, gnu::aligned(4)]] Stat64 {
  uint64_t device;
  uint32_t padding0;
  uint32_t inode_low;
  uint32_t mode;
  uint32_t links;
  uint32_t uid, gid;
  uint64_t special;
  uint32_t padding1;
  uint64_t size;
  uint32_t block_size;
  uint64_t blocks;  // of 512 bytes
  uint32_t accessed, accessed_nanoseconds, modified, modified_nanoseconds, changed, changed_nanoseconds;
  uint64_t inode;
};
static_assert(sizeof(Stat64) == 96 && offsetof(Stat64, special) == 32 && offsetof(Stat64, size) == 44 && offsetof(Stat64, blocks) == 56 &&
              offsetof(Stat64, accessed) == 64 && offsetof(Stat64, inode) == 88);

// The stat, lstat and fstat of numbers 106 to 108.
struct Stat32 {
  uint32_t device, inode;
  uint16_t mode, links, uid, gid;
  uint32_t special, size, block_size, blocks;
  uint32_t accessed, accessed_nanoseconds, modified, modified_nanoseconds, changed, changed_nanoseconds;
  uint32_t unused[2];
};
static_assert(sizeof(Stat32) == 64 && offsetof(Stat32, size) == 20 && offsetof(Stat32, accessed) == 32);

struct StatxTime {
  int64_t seconds;
  uint32_t nanoseconds;
  int32_t padding;
};
struct [[gnu::packed, gnu::aligned(4)]] Statx {
  uint32_t mask, block_size;
  uint64_t attributes;
  uint32_t links, uid, gid;
  uint16_t mode, padding0;
  uint64_t inode, size, blocks, attributes_mask;
  StatxTime accessed, born, changed, modified;
  uint32_t special_major, special_minor, device_major, device_minor;
  uint64_t mount_id;
  uint32_t direct_memory_align, direct_offset_align;
  uint64_t spare[12];
};
static_assert(sizeof(StatxTime) == 16);
static_assert(sizeof(Statx) == 256 && offsetof(Statx, inode) == 32 && offsetof(Statx, accessed) == 64 &&
              offsetof(Statx, special_major) == 128 && offsetof(Statx, mount_id) == 144);
inline constexpr uint32_t kStatxBasic = 0x7ff, kStatxMountId = 0x1000, kStatxReserved = 0x80000000u;

struct Statfs32 {
  uint32_t type, block_size, blocks, blocks_free, blocks_available, files, files_free, id[2], name_length, fragment_size, flags, spare[4];
};
static_assert(sizeof(Statfs32) == 64);

struct [[gnu::packed, gnu::aligned(4)]] Statfs64 {
  uint32_t type, block_size;
  uint64_t blocks, blocks_free, blocks_available, files, files_free;
  uint32_t id[2], name_length, fragment_size, flags, spare[4];
};
static_assert(sizeof(Statfs64) == 84);

// Followed by the name and its NUL; records are aligned to 8 (getdents64) or 4 (getdents, whose last byte is the type).
struct [[gnu::packed]] DirectoryEntry64 {
  uint64_t inode, next;
  uint16_t bytes;
  uint8_t type;
};
static_assert(sizeof(DirectoryEntry64) == 19);
struct [[gnu::packed]] DirectoryEntry32 {
  uint32_t inode, next;
  uint16_t bytes;
};
static_assert(sizeof(DirectoryEntry32) == 10);

}  // namespace faultline::abi
