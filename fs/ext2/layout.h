// The ext2 format as it lies on the disk, little-endian. Source: the ext2 documentation ("The Second Extended File System", D. Poirier)
// and e2fsprogs' behaviour. Everything here comes from the disk and is checked before use.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline {

inline constexpr uint32_t kExt2Magic = 0xef53;
inline constexpr uint32_t kExt2SuperblockOffset = 1024;
inline constexpr uint32_t kExt2RootInode = 2;
inline constexpr uint32_t kExt2MaxLinks = 32000;
inline constexpr uint32_t kExt2DirectBlocks = 12, kExt2Pointers = 15;
inline constexpr uint32_t kExt2FastSymlinkBytes = kExt2Pointers * 4;  // a target shorter than this stands in the inode

// Feature bits; what is not named here is unknown to us.
inline constexpr uint32_t kExt2CompatHasJournal = 0x4;
inline constexpr uint32_t kExt2IncompatFileType = 0x2;
inline constexpr uint32_t kExt2ReadOnlySparseSuper = 0x1, kExt2ReadOnlyLargeFile = 0x2, kExt2ReadOnlyBtreeDirectory = 0x4;
inline constexpr uint32_t kExt2KnownIncompat = kExt2IncompatFileType;
inline constexpr uint32_t kExt2KnownReadOnly = kExt2ReadOnlySparseSuper | kExt2ReadOnlyLargeFile | kExt2ReadOnlyBtreeDirectory;

inline constexpr uint16_t kExt2StateClean = 1, kExt2StateErrors = 2;

struct Ext2Superblock {
  uint32_t inodes_count, blocks_count, reserved_blocks_count, free_blocks_count, free_inodes_count, first_data_block;
  uint32_t log_block_size, log_fragment_size, blocks_per_group, fragments_per_group, inodes_per_group;
  uint32_t mount_time, write_time;
  uint16_t mount_count, max_mount_count, magic, state, errors, minor_revision;
  uint32_t last_check, check_interval, creator_os, revision;
  uint16_t reserved_uid, reserved_gid;
  // From revision 1 on.
  uint32_t first_inode;
  uint16_t inode_size, block_group_number;
  uint32_t feature_compat, feature_incompat, feature_read_only;
  uint8_t uuid[16];
  char volume_name[16], last_mounted[64];
  uint32_t algorithm_bitmap;
  uint8_t preallocate_blocks, preallocate_directory_blocks;
  uint16_t reserved_gdt_blocks;
  uint8_t journal_uuid[16];
  uint32_t journal_inode, journal_device, last_orphan, hash_seed[4];
  uint8_t default_hash_version, journal_backup_type;
  uint16_t descriptor_size;
  uint32_t default_mount_options, first_meta_group, make_time, journal_blocks[17];
  uint32_t blocks_count_high, reserved_blocks_high, free_blocks_high;
  uint16_t min_extra_inode_size, want_extra_inode_size;
  uint8_t rest[672];
};
static_assert(sizeof(Ext2Superblock) == 1024);
static_assert(offsetof(Ext2Superblock, magic) == 56);
static_assert(offsetof(Ext2Superblock, first_inode) == 84);
static_assert(offsetof(Ext2Superblock, reserved_gdt_blocks) == 206);
static_assert(offsetof(Ext2Superblock, last_orphan) == 232);
static_assert(offsetof(Ext2Superblock, want_extra_inode_size) == 350);

struct Ext2GroupDescriptor {
  uint32_t block_bitmap, inode_bitmap, inode_table;
  uint16_t free_blocks, free_inodes, directories, padding;
  uint32_t reserved[3];
};
static_assert(sizeof(Ext2GroupDescriptor) == 32);

struct Ext2RawInode {
  uint16_t mode, uid;
  uint32_t size, accessed, changed, modified, deleted;
  uint16_t gid, links;
  uint32_t sectors;  // of 512 bytes, indirect blocks and the attribute block included
  uint32_t flags, os_specific;
  uint32_t block[kExt2Pointers];
  uint32_t generation, attribute_block, size_high, fragment_address;
  uint8_t fragment_number, fragment_size;
  uint16_t padding, uid_high, gid_high;
  uint32_t reserved;
  // In inodes of more than 128 bytes, as far as extra_size says.
  uint16_t extra_size, checksum_high;
  uint32_t changed_extra, modified_extra, accessed_extra, created, created_extra;
};
inline constexpr uint32_t kExt2BaseInodeSize = 128;
static_assert(offsetof(Ext2RawInode, block) == 40);
static_assert(offsetof(Ext2RawInode, extra_size) == kExt2BaseInodeSize);
static_assert(offsetof(Ext2RawInode, created_extra) == 148);

inline constexpr uint32_t kExt2FlagIndexedDirectory = 0x1000;

struct Ext2DirectoryEntry {
  uint32_t inode;   // 0: free space
  uint16_t length;  // of the record; up to the next one or the block's end
  uint8_t name_length;
  uint8_t type;  // with the filetype feature; else the high byte of the name's length
  char name[];
};
static_assert(sizeof(Ext2DirectoryEntry) == 8);
inline constexpr uint32_t kExt2EntryHeader = 8;
constexpr uint32_t ext2_entry_bytes(uint32_t name_length) { return (kExt2EntryHeader + name_length + 3) & ~3u; }
static_assert(ext2_entry_bytes(1) == 12 && ext2_entry_bytes(4) == 12 && ext2_entry_bytes(5) == 16);

struct Ext2AttributeHeader {  // the block of extended attributes, shared by inodes
  uint32_t magic, references, blocks;
};
inline constexpr uint32_t kExt2AttributeMagic = 0xea020000;

}  // namespace faultline
