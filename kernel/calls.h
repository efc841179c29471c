// The handlers of process, memory, signal and time calls, by theme. What each does is in the manual (section 2) under its name.
#pragma once

#include "kernel/signal.h"
#include "kernel/system_call.h"
#include "kernel/time.h"

namespace faultline {

struct UserTlsDescriptor;  // thread_local_storage.h
struct UserUsage;          // usage.h
struct UserSignalAction;   // the layouts are in signal_calls.cpp
struct UserLimit;          // limit_calls.cpp
struct UserLimit64;
struct UserTimer;  // time_calls.cpp
struct UserTimes;
struct UserSignalEvent;  // posix_timers.cpp
struct UserNames;        // system_calls.cpp
struct UserSystemInformation;
struct OldMapArguments {
  uint32_t address, bytes, protection, flags, descriptor, offset;
};

// kernel/fork.cpp
Result<uint32_t> sys_fork();
Result<uint32_t> sys_vfork();
Result<uint32_t> sys_clone(uint32_t flags, uint32_t stack, UserPtr<uint32_t> parent_tid, UserPtr<UserTlsDescriptor> tls,
                           UserPtr<uint32_t> child_tid);
// kernel/clone3.cpp
Result<uint32_t> sys_clone3(VirtAddr from, uint32_t size);

// kernel/exec.cpp
Result<uint32_t> sys_execve(UserPtr<const char> path, UserPtr<uint32_t> arguments, UserPtr<uint32_t> environment);

// kernel/exit.cpp
Result<uint32_t> sys_exit(uint32_t status);
Result<uint32_t> sys_exit_group(uint32_t status);

// kernel/wait.cpp
Result<uint32_t> sys_wait4(int32_t pid, UserPtr<uint32_t> status, uint32_t options, UserPtr<UserUsage> usage);
Result<uint32_t> sys_waitpid(int32_t pid, UserPtr<uint32_t> status, uint32_t options);
Result<uint32_t> sys_waitid(uint32_t type, uint32_t id, UserPtr<uint8_t> info, uint32_t options, UserPtr<UserUsage> usage);

// kernel/identity_calls.cpp
Result<uint32_t> sys_getpid();
Result<uint32_t> sys_getppid();
Result<uint32_t> sys_gettid();
Result<uint32_t> sys_getuid32();
Result<uint32_t> sys_geteuid32();
Result<uint32_t> sys_getgid32();
Result<uint32_t> sys_getegid32();
Result<uint32_t> sys_getuid();
Result<uint32_t> sys_geteuid();
Result<uint32_t> sys_getgid();
Result<uint32_t> sys_getegid();
Result<uint32_t> sys_setuid32(uint32_t id);
Result<uint32_t> sys_setgid32(uint32_t id);
Result<uint32_t> sys_setreuid32(uint32_t real, uint32_t effective);
Result<uint32_t> sys_setregid32(uint32_t real, uint32_t effective);
Result<uint32_t> sys_setresuid32(uint32_t real, uint32_t effective, uint32_t saved);
Result<uint32_t> sys_setresgid32(uint32_t real, uint32_t effective, uint32_t saved);
Result<uint32_t> sys_getresuid32(UserPtr<uint32_t> real, UserPtr<uint32_t> effective, UserPtr<uint32_t> saved);
Result<uint32_t> sys_getresgid32(UserPtr<uint32_t> real, UserPtr<uint32_t> effective, UserPtr<uint32_t> saved);
Result<uint32_t> sys_setfsuid32(uint32_t id);
Result<uint32_t> sys_setfsgid32(uint32_t id);
Result<uint32_t> sys_getgroups32(uint32_t size, UserPtr<uint32_t> list);
Result<uint32_t> sys_setgroups32(uint32_t size, UserPtr<uint32_t> list);
Result<uint32_t> sys_getgroups(uint32_t size, UserPtr<uint16_t> list);
Result<uint32_t> sys_setgroups(uint32_t size, UserPtr<uint16_t> list);
Result<uint32_t> sys_setuid(uint16_t id);
Result<uint32_t> sys_setgid(uint16_t id);
Result<uint32_t> sys_setreuid(uint16_t real, uint16_t effective);
Result<uint32_t> sys_setregid(uint16_t real, uint16_t effective);

// kernel/job_control.cpp
Result<uint32_t> sys_setpgid(uint32_t pid, int32_t group);
Result<uint32_t> sys_getpgid(uint32_t pid);
Result<uint32_t> sys_getpgrp();
Result<uint32_t> sys_getsid(uint32_t pid);
Result<uint32_t> sys_setsid();

// kernel/thread_local_storage.cpp
Result<uint32_t> sys_set_thread_area(UserPtr<UserTlsDescriptor> wanted);
Result<uint32_t> sys_get_thread_area(UserPtr<UserTlsDescriptor> wanted);

// kernel/thread_calls.cpp
Result<uint32_t> sys_set_tid_address(uint32_t address);
Result<uint32_t> sys_personality(uint32_t wanted);
Result<uint32_t> sys_prctl(uint32_t option, uint32_t a, uint32_t b, uint32_t c, uint32_t d);
Result<uint32_t> sys_ioperm(uint32_t, uint32_t, uint32_t);
Result<uint32_t> sys_iopl(uint32_t level);

// kernel/memory_calls.cpp
Result<uint32_t> sys_mmap2(uint32_t address, uint32_t bytes, uint32_t protection, uint32_t flags, uint32_t descriptor,
                           uint32_t page_offset);
Result<uint32_t> sys_old_mmap(UserPtr<OldMapArguments> user);
Result<uint32_t> sys_munmap(VirtAddr start, uint32_t bytes);
Result<uint32_t> sys_mprotect(VirtAddr start, uint32_t bytes, uint32_t protection);
Result<uint32_t> sys_mremap(VirtAddr old_start, uint32_t old_bytes, uint32_t new_bytes, uint32_t flags, VirtAddr new_start);
Result<uint32_t> sys_brk(VirtAddr wanted);
Result<uint32_t> sys_msync(VirtAddr start, uint32_t bytes, uint32_t flags);
Result<uint32_t> sys_madvise(VirtAddr start, uint32_t bytes, uint32_t advice);
Result<uint32_t> sys_mincore(VirtAddr start, uint32_t bytes, VirtAddr vector);
Result<uint32_t> sys_mlock(VirtAddr start, uint32_t bytes);
Result<uint32_t> sys_mlock2(VirtAddr start, uint32_t bytes, uint32_t flags);
Result<uint32_t> sys_munlock(VirtAddr start, uint32_t bytes);
Result<uint32_t> sys_mlockall(uint32_t flags);
Result<uint32_t> sys_munlockall();

// kernel/shared_memory*.cpp
Result<uint32_t> sys_shmget(int32_t key, uint32_t bytes, uint32_t flags);
Result<uint32_t> sys_shmat(uint32_t id, uint32_t address, uint32_t flags);
Result<uint32_t> sys_shmdt(VirtAddr address);
Result<uint32_t> sys_shmctl(uint32_t id, uint32_t command, VirtAddr buffer);
Result<uint32_t> sys_ipc(uint32_t call, uint32_t first, uint32_t second, uint32_t third, uint32_t pointer, uint32_t fifth);

// kernel/signal_calls.cpp
Result<uint32_t> sys_rt_sigaction(uint32_t number, UserPtr<UserSignalAction> wanted, UserPtr<UserSignalAction> old, uint32_t set_size);
Result<uint32_t> sys_sigaction(uint32_t number, UserPtr<UserSignalAction> wanted, UserPtr<UserSignalAction> old);
Result<uint32_t> sys_signal(uint32_t number, uint32_t handler);
Result<uint32_t> sys_rt_sigprocmask(uint32_t how, UserPtr<SignalSet> wanted, UserPtr<SignalSet> old, uint32_t set_size);
Result<uint32_t> sys_sigprocmask(uint32_t how, UserPtr<uint32_t> wanted, UserPtr<uint32_t> old);
Result<uint32_t> sys_rt_sigpending(UserPtr<SignalSet> set, uint32_t set_size);
Result<uint32_t> sys_sigpending(UserPtr<uint32_t> set);
Result<uint32_t> sys_rt_sigsuspend(UserPtr<SignalSet> wanted, uint32_t set_size);
Result<uint32_t> sys_sigsuspend(uint32_t, uint32_t, uint32_t mask);
Result<uint32_t> sys_pause();
Result<uint32_t> sys_rt_sigtimedwait(UserPtr<SignalSet> wanted, UserPtr<uint8_t> info, UserPtr<Timespec32> timeout, uint32_t set_size);
Result<uint32_t> sys_rt_sigtimedwait_time64(UserPtr<SignalSet> wanted, UserPtr<uint8_t> info, UserPtr<Timespec64> timeout,
                                            uint32_t set_size);
Result<uint32_t> sys_kill(int32_t pid, uint32_t number);
Result<uint32_t> sys_tkill(int32_t tid, uint32_t number);
Result<uint32_t> sys_tgkill(int32_t pid, int32_t tid, uint32_t number);
Result<uint32_t> sys_rt_sigqueueinfo(uint32_t pid, uint32_t number, UserPtr<uint8_t> user);
Result<uint32_t> sys_rt_tgsigqueueinfo(uint32_t pid, uint32_t tid, uint32_t number, UserPtr<uint8_t> user);

// kernel/signal_frame.cpp
Result<uint32_t> sys_sigreturn();
Result<uint32_t> sys_rt_sigreturn();
Result<uint32_t> sys_sigaltstack(UserPtr<AlternateStack> wanted, UserPtr<AlternateStack> old);

// kernel/time_calls.cpp
Result<uint32_t> sys_clock_gettime(uint32_t clock, UserPtr<Timespec32> where);
Result<uint32_t> sys_clock_gettime64(uint32_t clock, UserPtr<Timespec64> where);
Result<uint32_t> sys_clock_settime(uint32_t clock, UserPtr<Timespec32> from);
Result<uint32_t> sys_clock_settime64(uint32_t clock, UserPtr<Timespec64> from);
Result<uint32_t> sys_clock_getres(uint32_t clock, UserPtr<Timespec32> where);
Result<uint32_t> sys_clock_getres_time64(uint32_t clock, UserPtr<Timespec64> where);
Result<uint32_t> sys_nanosleep(UserPtr<Timespec32> wanted, UserPtr<Timespec32> left);
Result<uint32_t> sys_clock_nanosleep(uint32_t clock, uint32_t flags, UserPtr<Timespec32> wanted, UserPtr<Timespec32> left);
Result<uint32_t> sys_clock_nanosleep_time64(uint32_t clock, uint32_t flags, UserPtr<Timespec64> wanted, UserPtr<Timespec64> left);
Result<uint32_t> sys_time(UserPtr<uint32_t> where);
Result<uint32_t> sys_stime(UserPtr<uint32_t> from);
Result<uint32_t> sys_gettimeofday(UserPtr<Timeval32> where, UserPtr<uint32_t> zone);
Result<uint32_t> sys_settimeofday(UserPtr<Timeval32> from, UserPtr<uint32_t> zone);
Result<uint32_t> sys_times(UserPtr<UserTimes> where);
Result<uint32_t> sys_timer_create(uint32_t clock, UserPtr<UserSignalEvent> event, UserPtr<uint32_t> id_to);
Result<uint32_t> sys_timer_delete(uint32_t id);
Result<uint32_t> sys_timer_getoverrun(uint32_t id);
Result<uint32_t> sys_timer_settime(uint32_t id, uint32_t flags, UserPtr<TimerTimes<Timespec32>> wanted,
                                   UserPtr<TimerTimes<Timespec32>> old);
Result<uint32_t> sys_timer_settime64(uint32_t id, uint32_t flags, UserPtr<TimerTimes<Timespec64>> wanted,
                                     UserPtr<TimerTimes<Timespec64>> old);
Result<uint32_t> sys_timer_gettime(uint32_t id, UserPtr<TimerTimes<Timespec32>> where);
Result<uint32_t> sys_timer_gettime64(uint32_t id, UserPtr<TimerTimes<Timespec64>> where);
Result<uint32_t> sys_setitimer(uint32_t which, UserPtr<UserTimer> wanted, UserPtr<UserTimer> old);
Result<uint32_t> sys_getitimer(uint32_t which, UserPtr<UserTimer> where);
Result<uint32_t> sys_alarm(uint32_t seconds);

// kernel/limit_calls.cpp
Result<uint32_t> sys_ugetrlimit(uint32_t which, UserPtr<UserLimit> where);
Result<uint32_t> sys_getrlimit(uint32_t which, UserPtr<UserLimit> where);
Result<uint32_t> sys_setrlimit(uint32_t which, UserPtr<UserLimit> from);
Result<uint32_t> sys_prlimit64(uint32_t pid, uint32_t which, UserPtr<UserLimit64> wanted, UserPtr<UserLimit64> old);
Result<uint32_t> sys_getrusage(int32_t who, UserPtr<UserUsage> where);

// kernel/scheduling_calls.cpp
Result<uint32_t> sys_getpriority(uint32_t which, uint32_t who);
Result<uint32_t> sys_setpriority(uint32_t which, uint32_t who, int32_t nice);
Result<uint32_t> sys_nice(int32_t increment);
Result<uint32_t> sys_sched_yield();
Result<uint32_t> sys_sched_getaffinity(uint32_t tid, uint32_t bytes, UserPtr<uint32_t> where);
Result<uint32_t> sys_sched_setaffinity(uint32_t tid, uint32_t bytes, UserPtr<uint32_t> from);
Result<uint32_t> sys_getcpu(UserPtr<uint32_t> cpu, UserPtr<uint32_t> node, uint32_t);

// kernel/policy_calls.cpp
Result<uint32_t> sys_sched_getscheduler(int32_t tid);
Result<uint32_t> sys_sched_setscheduler(int32_t tid, int32_t policy, UserPtr<uint32_t> priority);
Result<uint32_t> sys_sched_getparam(int32_t tid, UserPtr<uint32_t> where);
Result<uint32_t> sys_sched_setparam(int32_t tid, UserPtr<uint32_t> priority);
Result<uint32_t> sys_sched_get_priority_max(uint32_t policy);
Result<uint32_t> sys_sched_get_priority_min(uint32_t policy);
Result<uint32_t> sys_sched_rr_get_interval(int32_t tid, UserPtr<Timespec32> where);
Result<uint32_t> sys_sched_rr_get_interval_time64(int32_t tid, UserPtr<Timespec64> where);

// kernel/system_calls.cpp
Result<uint32_t> sys_uname(UserPtr<UserNames> where);
Result<uint32_t> sys_sethostname(UserPtr<const char> from, uint32_t length);
Result<uint32_t> sys_setdomainname(UserPtr<const char> from, uint32_t length);
Result<uint32_t> sys_sysinfo(UserPtr<UserSystemInformation> where);
Result<uint32_t> sys_getrandom(VirtAddr where, uint32_t bytes, uint32_t flags);
Result<uint32_t> sys_reboot(uint32_t magic, uint32_t magic2, uint32_t command);
Result<uint32_t> sys_syslog(uint32_t type, VirtAddr where, int32_t length);

// kernel/robust_list.cpp
Result<uint32_t> sys_set_robust_list(uint32_t head, uint32_t size);
Result<uint32_t> sys_get_robust_list(uint32_t tid, UserPtr<uint32_t> head, UserPtr<uint32_t> size);

// kernel/futex.cpp
Result<uint32_t> sys_futex(VirtAddr address, uint32_t operation, uint32_t value, UserPtr<Timespec32> timeout, VirtAddr second,
                           uint32_t value3);
Result<uint32_t> sys_futex_time64(VirtAddr address, uint32_t operation, uint32_t value, UserPtr<Timespec64> timeout, VirtAddr second,
                                  uint32_t value3);

}  // namespace faultline
