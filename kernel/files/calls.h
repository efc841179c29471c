// The handlers of file calls, by theme. What each does is in the manual (section 2) under its name.
#pragma once

#include "kernel/signal.h"
#include "kernel/system_call.h"
#include "kernel/time.h"
#include "lib/abi/epoll.h"
#include "lib/abi/fcntl_structures.h"
#include "lib/abi/stat.h"
#include "mm/io_buffer.h"

namespace faultline {

// kernel/files/open_calls.cpp
Result<uint32_t> sys_open(UserPtr<const char> name, uint32_t flags, uint32_t mode);
Result<uint32_t> sys_openat(int32_t directory, UserPtr<const char> name, uint32_t flags, uint32_t mode);
Result<uint32_t> sys_creat(UserPtr<const char> name, uint32_t mode);
Result<uint32_t> sys_close(uint32_t descriptor);
Result<uint32_t> sys_close_range(uint32_t first, uint32_t last, uint32_t flags);
Result<uint32_t> sys_dup(int32_t descriptor);
Result<uint32_t> sys_dup2(uint32_t from, uint32_t to);
Result<uint32_t> sys_dup3(uint32_t from, uint32_t to, uint32_t flags);
Result<uint32_t> sys_pipe2(UserPtr<uint32_t> descriptors, uint32_t flags);
Result<uint32_t> sys_pipe(UserPtr<uint32_t> descriptors);
Result<uint32_t> sys_memfd_create(UserPtr<const char> user_name, uint32_t flags);
Result<uint32_t> sys_eventfd2(uint32_t initial, uint32_t flags);
Result<uint32_t> sys_eventfd(uint32_t initial);
Result<uint32_t> sys_timerfd_create(uint32_t clock, uint32_t flags);
Result<uint32_t> sys_timerfd_settime(int32_t descriptor, uint32_t flags, UserPtr<TimerTimes<Timespec32>> wanted,
                                     UserPtr<TimerTimes<Timespec32>> old);
Result<uint32_t> sys_timerfd_settime64(int32_t descriptor, uint32_t flags, UserPtr<TimerTimes<Timespec64>> wanted,
                                       UserPtr<TimerTimes<Timespec64>> old);
Result<uint32_t> sys_timerfd_gettime(int32_t descriptor, UserPtr<TimerTimes<Timespec32>> where);
Result<uint32_t> sys_timerfd_gettime64(int32_t descriptor, UserPtr<TimerTimes<Timespec64>> where);

// kernel/files/signal_file.cpp
Result<uint32_t> sys_signalfd4(int32_t descriptor, UserPtr<SignalSet> mask, uint32_t bytes, uint32_t flags);
Result<uint32_t> sys_signalfd(int32_t descriptor, UserPtr<SignalSet> mask, uint32_t bytes);

// kernel/files/io_calls.cpp
// These two take their arguments from the frame themselves: nothing is called more often.
Result<uint32_t> sys_read(uint32_t number, TrapFrame& frame);
Result<uint32_t> sys_write(uint32_t number, TrapFrame& frame);
Result<uint32_t> sys_readv(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count);
Result<uint32_t> sys_writev(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count);
Result<uint32_t> sys_pread64(int32_t descriptor, VirtAddr address, uint32_t bytes, uint32_t low, uint32_t high);
Result<uint32_t> sys_pwrite64(int32_t descriptor, VirtAddr address, uint32_t bytes, uint32_t low, uint32_t high);
Result<uint32_t> sys_preadv(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count, uint32_t low, uint32_t high);
Result<uint32_t> sys_pwritev(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count, uint32_t low, uint32_t high);
Result<uint32_t> sys_preadv2(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count, uint32_t low, uint32_t high,
                             uint32_t flags);
Result<uint32_t> sys_pwritev2(int32_t descriptor, UserPtr<const IoPiece> pieces, uint32_t count, uint32_t low, uint32_t high,
                              uint32_t flags);
Result<uint32_t> sys_lseek(int32_t descriptor, int32_t offset, uint32_t whence);
Result<uint32_t> sys__llseek(int32_t descriptor, uint32_t high, uint32_t low, UserPtr<uint64_t> result, uint32_t whence);
Result<uint32_t> sys_sendfile(int32_t out, int32_t in, UserPtr<uint32_t> offset, uint32_t bytes);
Result<uint32_t> sys_sendfile64(int32_t out, int32_t in, UserPtr<uint64_t> offset, uint32_t bytes);
Result<uint32_t> sys_copy_file_range(int32_t in, UserPtr<uint64_t> in_offset, int32_t out, UserPtr<uint64_t> out_offset, uint32_t bytes,
                                     uint32_t flags);
Result<uint32_t> sys_splice();
Result<uint32_t> sys_tee();

// kernel/files/stat_calls.cpp
Result<uint32_t> sys_stat64(UserPtr<const char> name, UserPtr<abi::Stat64> destination);
Result<uint32_t> sys_lstat64(UserPtr<const char> name, UserPtr<abi::Stat64> destination);
Result<uint32_t> sys_fstat64(uint32_t descriptor, UserPtr<abi::Stat64> destination);
Result<uint32_t> sys_fstatat64(int32_t directory, UserPtr<const char> name, UserPtr<abi::Stat64> destination, uint32_t flags);
Result<uint32_t> sys_stat(UserPtr<const char> name, UserPtr<abi::Stat32> destination);
Result<uint32_t> sys_lstat(UserPtr<const char> name, UserPtr<abi::Stat32> destination);
Result<uint32_t> sys_fstat(uint32_t descriptor, UserPtr<abi::Stat32> destination);
Result<uint32_t> sys_statx(int32_t directory, UserPtr<const char> name, uint32_t flags, uint32_t mask, UserPtr<abi::Statx> destination);
Result<uint32_t> sys_faccessat2(int32_t directory, UserPtr<const char> name, uint32_t mode, uint32_t flags);
Result<uint32_t> sys_faccessat(int32_t directory, UserPtr<const char> name, uint32_t mode);
Result<uint32_t> sys_access(UserPtr<const char> name, uint32_t mode);
Result<uint32_t> sys_statfs(UserPtr<const char> name, UserPtr<abi::Statfs32> destination);
Result<uint32_t> sys_fstatfs(uint32_t descriptor, UserPtr<abi::Statfs32> destination);
Result<uint32_t> sys_statfs64(UserPtr<const char> name, uint32_t size, UserPtr<abi::Statfs64> destination);
Result<uint32_t> sys_fstatfs64(uint32_t descriptor, uint32_t size, UserPtr<abi::Statfs64> destination);

// kernel/files/name_calls.cpp
Result<uint32_t> sys_mkdirat(int32_t directory, UserPtr<const char> name, uint32_t mode);
Result<uint32_t> sys_mkdir(UserPtr<const char> name, uint32_t mode);
Result<uint32_t> sys_mknodat(int32_t directory, UserPtr<const char> name, uint32_t mode, uint32_t device);
Result<uint32_t> sys_mknod(UserPtr<const char> name, uint32_t mode, uint32_t device);
Result<uint32_t> sys_symlinkat(UserPtr<const char> user_target, int32_t directory, UserPtr<const char> name);
Result<uint32_t> sys_symlink(UserPtr<const char> target, UserPtr<const char> name);
Result<uint32_t> sys_linkat(int32_t old_directory, UserPtr<const char> old_name, int32_t directory, UserPtr<const char> name,
                            uint32_t flags);
Result<uint32_t> sys_link(UserPtr<const char> old_name, UserPtr<const char> name);
Result<uint32_t> sys_unlinkat(int32_t directory, UserPtr<const char> name, uint32_t flags);
Result<uint32_t> sys_unlink(UserPtr<const char> name);
Result<uint32_t> sys_rmdir(UserPtr<const char> name);
Result<uint32_t> sys_renameat2(int32_t old_directory, UserPtr<const char> old_name, int32_t directory, UserPtr<const char> name,
                               uint32_t flags);
Result<uint32_t> sys_renameat(int32_t old_directory, UserPtr<const char> old_name, int32_t directory, UserPtr<const char> name);
Result<uint32_t> sys_rename(UserPtr<const char> old_name, UserPtr<const char> name);
Result<uint32_t> sys_readlinkat(int32_t directory, UserPtr<const char> name, VirtAddr address, int32_t bytes);
Result<uint32_t> sys_readlink(UserPtr<const char> name, VirtAddr address, int32_t bytes);
Result<uint32_t> sys_chdir(UserPtr<const char> name);
Result<uint32_t> sys_fchdir(int32_t descriptor);
Result<uint32_t> sys_chroot(UserPtr<const char> name);
Result<uint32_t> sys_getcwd(VirtAddr address, uint32_t bytes);
Result<uint32_t> sys_umask(uint32_t mask);

// kernel/files/attribute_calls.cpp
Result<uint32_t> sys_fchmodat(int32_t directory, UserPtr<const char> name, uint32_t mode);
Result<uint32_t> sys_chmod(UserPtr<const char> name, uint32_t mode);
Result<uint32_t> sys_fchmod(int32_t descriptor, uint32_t mode);
Result<uint32_t> sys_fchownat(int32_t directory, UserPtr<const char> name, uint32_t uid, uint32_t gid, uint32_t flags);
Result<uint32_t> sys_chown32(UserPtr<const char> name, uint32_t uid, uint32_t gid);
Result<uint32_t> sys_lchown32(UserPtr<const char> name, uint32_t uid, uint32_t gid);
Result<uint32_t> sys_fchown32(int32_t descriptor, uint32_t uid, uint32_t gid);
Result<uint32_t> sys_chown(UserPtr<const char> name, uint32_t uid, uint32_t gid);
Result<uint32_t> sys_lchown(UserPtr<const char> name, uint32_t uid, uint32_t gid);
Result<uint32_t> sys_fchown(int32_t descriptor, uint32_t uid, uint32_t gid);
Result<uint32_t> sys_utimensat_time64(int32_t directory, UserPtr<const char> name, UserPtr<abi::Time64> user, uint32_t flags);
Result<uint32_t> sys_utimensat(int32_t directory, UserPtr<const char> name, UserPtr<abi::Time32> user, uint32_t flags);
Result<uint32_t> sys_futimesat(int32_t directory, UserPtr<const char> name, UserPtr<const abi::Time32> user);
Result<uint32_t> sys_utimes(UserPtr<const char> name, UserPtr<const abi::Time32> user);
Result<uint32_t> sys_utime(UserPtr<const char> name, UserPtr<int32_t> user);
Result<uint32_t> sys_truncate(UserPtr<const char> name, int32_t size);
Result<uint32_t> sys_truncate64(UserPtr<const char> name, uint32_t low, uint32_t high);
Result<uint32_t> sys_ftruncate(int32_t descriptor, int32_t size);
Result<uint32_t> sys_ftruncate64(int32_t descriptor, uint32_t low, uint32_t high);
Result<uint32_t> sys_fallocate(int32_t descriptor, uint32_t mode, uint32_t offset_low, uint32_t offset_high, uint32_t length_low,
                               uint32_t length_high);
Result<uint32_t> sys_no_extended_attributes();

// kernel/files/control_calls.cpp
Result<uint32_t> sys_fcntl64(uint32_t descriptor, uint32_t command, uint32_t argument);
Result<uint32_t> sys_flock(int32_t descriptor, uint32_t operation);
Result<uint32_t> sys_ioctl(uint32_t descriptor, uint32_t request, uint32_t argument);
Result<uint32_t> sys_fsync(int32_t descriptor);
Result<uint32_t> sys_fdatasync(int32_t descriptor);
Result<uint32_t> sys_sync();
Result<uint32_t> sys_syncfs(int32_t descriptor);
Result<uint32_t> sys_sync_file_range(int32_t descriptor, uint32_t offset_low, uint32_t offset_high, uint32_t bytes_low, uint32_t bytes_high,
                                     uint32_t flags);
Result<uint32_t> sys_fadvise64_64(int32_t descriptor, uint32_t offset_low, uint32_t offset_high, uint32_t bytes_low, uint32_t bytes_high,
                                  uint32_t advice);
Result<uint32_t> sys_fadvise64(int32_t descriptor, uint32_t low, uint32_t high, uint32_t bytes, uint32_t advice);
Result<uint32_t> sys_readahead(int32_t descriptor, uint32_t offset_low, uint32_t offset_high, uint32_t bytes);

// kernel/files/directory_calls.cpp
Result<uint32_t> sys_getdents64(int32_t descriptor, VirtAddr address, uint32_t bytes);
Result<uint32_t> sys_getdents(int32_t descriptor, VirtAddr address, uint32_t bytes);

// kernel/files/poll_calls.cpp
Result<uint32_t> sys_poll(UserPtr<abi::PollEntry> entries, uint32_t count, int32_t milliseconds);
Result<uint32_t> sys_ppoll(UserPtr<abi::PollEntry> entries, uint32_t count, UserPtr<abi::Time32> time, UserPtr<SignalSet> mask,
                           uint32_t bytes);
Result<uint32_t> sys_ppoll_time64(UserPtr<abi::PollEntry> entries, uint32_t count, UserPtr<abi::Time64> time, UserPtr<SignalSet> mask,
                                  uint32_t bytes);
Result<uint32_t> sys__newselect(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                                UserPtr<abi::Time32> time);
Result<uint32_t> sys_select(UserPtr<uint32_t> block_of_arguments);
Result<uint32_t> sys_pselect6(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                              UserPtr<abi::Time32> time, uint32_t mask);
Result<uint32_t> sys_pselect6_time64(uint32_t count, UserPtr<uint32_t> in, UserPtr<uint32_t> out, UserPtr<uint32_t> except,
                                     UserPtr<abi::Time64> time, uint32_t mask);

// kernel/files/epoll_calls.cpp
Result<uint32_t> sys_epoll_create(int32_t size);
Result<uint32_t> sys_epoll_create1(uint32_t flags);
Result<uint32_t> sys_epoll_ctl(int32_t instance, uint32_t operation, int32_t descriptor, UserPtr<abi::EpollEvent> user);
Result<uint32_t> sys_epoll_wait(int32_t instance, UserPtr<abi::EpollEvent> events, int32_t limit, int32_t milliseconds);
Result<uint32_t> sys_epoll_pwait(int32_t instance, UserPtr<abi::EpollEvent> events, int32_t limit, int32_t milliseconds,
                                 UserPtr<SignalSet> mask, uint32_t bytes);
Result<uint32_t> sys_epoll_pwait2(int32_t instance, UserPtr<abi::EpollEvent> events, int32_t limit, UserPtr<Timespec64> time,
                                  UserPtr<SignalSet> mask, uint32_t bytes);

// kernel/files/mount_calls.cpp
Result<uint32_t> sys_mount(UserPtr<const char> user_source, UserPtr<const char> user_target, UserPtr<const char> user_type, uint32_t flags,
                           UserPtr<const char> user_options);
Result<uint32_t> sys_umount2(UserPtr<const char> user_target, uint32_t flags);
Result<uint32_t> sys_umount(UserPtr<const char> target);

// kernel/files/swap_calls.cpp
Result<uint32_t> sys_swapon(UserPtr<const char> name, uint32_t flags);
Result<uint32_t> sys_swapoff(UserPtr<const char> name);

}  // namespace faultline
