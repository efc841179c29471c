// vmbench: one static, libc-free i386 binary that measures the same system-call rows on
// any kernel with the Linux i386 ABI. Unit: TSC ticks per operation (under QEMU
// "-icount shift=0" one tick is exactly one guest instruction, kernel and user together).
//
// usage: vmbench [-d DIR] [-e HELLO] [-E LIBC_HELLO] [-i] [ROW_PREFIX ...]
//   -d  directory for the scratch file (default /tmp)     -e  tiny exec target (/hello)
//   -E  second exec target, e.g. a static libc program     -i  run rows in this process
// Each row runs in its own forked child (unless -i), so a missing call, a crash or a hang
// costs one row only: it prints n/a with the errno or the signal.
#include "rows_cpu.h"
#include "rows_files.h"
#include "rows_memory.h"
#include "rows_process.h"
#include "rows_vdso.h"

// ---------------------------------------------------------------- table
struct Row {
  const char* name;
  i32 (*fn)();
  const char* what;
};
static const Row rows[] = {
    {"cal.loop", r_loop, "per iteration of dec+jnz: 2.0 if 1 tick = 1 instruction"},
    {"cal.rdtsc", r_rdtsc, "two back-to-back rdtsc (harness overhead)"},
    {"cal.rep_stosd_4k", r_stosd, "zero 4 KiB"},
    {"cal.rep_stosb_4k", r_stosb, "zero 4 KiB"},
    {"cal.rep_movsd_4k", r_movsd, "copy 4 KiB"},
    {"cal.rep_movsb_4k", r_movsb, "copy 4 KiB"},
    {"cal.mov32_zero_4k", r_movzero, "zero 4 KiB, 16x unrolled 32-bit stores"},
    {"cal.sse_zero_4k", r_ssezero, "zero 4 KiB, 8x unrolled movaps"},
    {"cal.sse_copy_4k", r_ssecopy, "copy 4 KiB, movaps"},
    {"sys.getppid", r_getppid, "null call"},
    {"sys.read1_zero", r_rdzero, "read 1 byte /dev/zero"},
    {"sys.write1_null", r_wrnull, "write 1 byte /dev/null"},
    {"sys.gettimeofday", r_gtod, "by int 0x80, no vDSO"},
    {"sys.clock_gettime", r_cgt, "monotonic, by int 0x80"},
    {"sys.getppid_vdso", r_fastppid, "null call by __kernel_vsyscall, from call to return"},
    {"sys.clock_vdso", r_vdsomono, "monotonic, by __vdso_clock_gettime"},
    {"sys.clock64_vdso", r_vdsoreal, "wall clock, by __vdso_clock_gettime64"},
    {"sig.install", r_siginst, "rt_sigaction"},
    {"sig.deliver", r_sigdeliver, "kill(self)+handler+sigreturn"},
    {"sig.protfault", r_protfault, "write fault -> SIGSEGV handler -> sigreturn"},
    {"ipc.pipe_pp", r_pipepp, "1 byte round trip, 2 processes (2 switches)"},
    {"ipc.pipe_bw64k", r_pipebw, "per 64 KiB through a pipe"},
    {"ipc.socketpair_pp", r_sockpp, "1 byte round trip, AF_UNIX"},
    {"ipc.eventfd_pp", r_evpp, "round trip"},
    {"ipc.futex_pp", r_futexpp, "wake+wait round trip, shared page"},
    {"sched.yield", r_yield, "per yield, 2 yielding processes"},
    {"proc.thread", r_thread, "clone of a thread that exits, and waiting for it by futex"},
    {"proc.fork_call", r_forkcall, "fork() as the parent sees it, small process"},
    {"proc.fork_exit", r_fork, "fork+exit+wait, small process"},
    {"proc.fork_call_16M", r_forkcall16, "fork() alone, 16 MiB dirty anon"},
    {"proc.fork_exit_16M", r_fork16, "fork+exit+wait, 16 MiB dirty anon"},
    {"proc.fork_call_512M", r_forkcall512, "fork() alone, 512 MiB dirty anon (n/a on a machine with less than that free)"},
    {"proc.fork_exec", r_exec, "fork+execve(hello)+wait"},
    {"proc.vfork_exec", r_vexec, "vfork+execve(hello)+wait"},
    {"proc.fork_exec_libc", r_exec2, "fork+execve(static libc program)+wait"},
    {"cow.child_write", r_cow, "per page: child writes pages shared after fork (copy)"},
    {"cow.sole_owner", r_cowsole, "per page: parent writes after the child is gone (reuse)"},
    {"vm.mmap_munmap", r_mmapunmap, "64 KiB anon, untouched"},
    {"vm.anon_write", r_anonw, "per page, first write"},
    {"vm.anon_read", r_anonr, "per page, first read"},
    {"vm.anon_write_after_read", r_anonrw, "per page, zero page -> own page"},
    {"vm.anon_populate", r_populate, "per page, MAP_POPULATE + touch"},
    {"vm.munmap_touched", r_unmap, "per page, 4 MiB"},
    {"vm.madv_dontneed", r_dontneed, "per page, 4 MiB"},
    {"vm.file_shared_read", r_fshr, "per page, cached, sequential"},
    {"vm.file_shared_read_64k", r_fshr64, "per touch, one touch per 64 KiB"},
    {"vm.file_shared_write", r_fshw, "per page, cached"},
    {"vm.file_private_write", r_fprw, "per page, copy"},
    {"vm.mprotect_16pg", r_mprot16, "per call, whole 64 KiB mapping"},
    {"vm.mprotect_mid", r_mprotmid, "per call, 1 page inside 64 (split/merge)"},
    {"vm.brk_touch", r_brk, "per page, brk grow + write"},
    {"vm.stack_grow", r_stack, "per page"},
    {"fs.read_4k", r_read4k, "cached"},
    {"fs.read_1M", r_read1m, "cached, one call"},
    {"fs.write_4k", r_write4k, "overwrite, cached"},
    {"fs.append_4k", r_append4k, "extends the file by new pages"},
    {"fs.open_close", r_open, ""},
    {"fs.stat", r_stat, "stat64 by path"},
    {"fs.fstat", r_fstat, ""},
    {"fs.create_unlink", r_creat, "open(O_CREAT)+close+unlink"},
    {"sel.select_10", r_sel10, "none ready, timeout 0"},
    {"sel.select_100", r_sel100, ""},
    {"sel.select_250", r_sel250, ""},
    {"sel.poll_10", r_poll10, "none ready, timeout 0"},
    {"sel.poll_100", r_poll100, ""},
    {"sel.poll_1000", r_poll1000, ""},
    {"sel.epoll_10", r_ep10, "1 ready"},
    {"sel.epoll_100", r_ep100, "1 ready"},
    {"sel.epoll_1000", r_ep1000, "1 ready"},
    {"mem.process_bytes", r_memproc, "BYTES of free RAM per forked, sleeping small process"},
    {"mem.pipe_bytes", r_mempipe, "BYTES per pipe holding 1 byte"},
};

static i32 mkfile() {
  i32 fd = sc3(NR_open, (u32)g_file, 01102, 0600);
  if (bad(fd)) return fd;
  for (int i = 0; i < VLEN / 65536; i++) {
    i32 r = sc3(NR_write, (u32)fd, (u32)g_buf, 65536);
    if (r != 65536) {
      sc1(NR_close, (u32)fd);
      return r < 0 ? r : -28;
    }
  }
  sc1(NR_close, (u32)fd);
  return 0;
}
static void runrow(const Row& r, bool inl) {
  Result res;
  res.rc = -9999;
  res.n = 0;
  i32 pf[2], pid = -1, st = 0;
  if (!inl && (bad(sc1(NR_pipe, (u32)pf)) || bad(pid = sc0(NR_fork)))) inl = true;
  if (inl || !pid) {
    memset(&S, 0, sizeof S);
    if (!inl) {
      sc1(NR_close, (u32)pf[0]);
      sc1(NR_alarm, 60);
    }
    res.rc = r.fn();
    digest(res);
    if (!inl) {
      sc3(NR_write, (u32)pf[1], (u32)&res, sizeof res);
      xexit(0);
    }
  } else {
    sc1(NR_close, (u32)pf[1]);
    drain_exact(pf[0], &res, sizeof res);
    sc1(NR_close, (u32)pf[0]);
    xwait(pid, &st);
  }
  ostr(r.name, 26);
  if (res.rc == 0 && res.n) {
    onum(res.min, 14, 1);
    onum(res.med, 14, 1);
    onum(res.n, 5);
  } else {
    ostr("           n/a           n/a    0");
    if (res.rc == -9999) {
      ostr("  [signal ");
      onum((u32)st & 127, 0);
    } else {
      ostr("  [errno ");
      onum((u32)-res.rc, 0);
    }
    och(']');
  }
  ostr("  ");
  ostr(r.what);
  och('\n');
  flush();
}
static i32 bench_main(int argc, char** argv) {
  bool inl = false;
  int first = argc;
  for (int i = 1; i < argc; i++) {
    char* a = argv[i];
    if (a[0] == '-' && a[1] == 'i')
      inl = true;
    else if (a[0] == '-' && i + 1 < argc && a[1] == 'd')
      g_dir = argv[++i];
    else if (a[0] == '-' && i + 1 < argc && a[1] == 'e')
      g_hello = argv[++i];
    else if (a[0] == '-' && i + 1 < argc && a[1] == 'E')
      g_hello2 = argv[++i];
    else {
      first = i;
      break;
    }
  }
  u32 n = slen(g_dir);
  if (n > 200) return 2;
  memcpy(g_file, g_dir, n);
  memcpy(g_file + n, "/vmb.dat", 9);
  memcpy(g_file2, g_dir, n);
  memcpy(g_file2 + n, "/vmb.new", 9);
  u64 boot = tsc();
  i32 fr = mkfile();
  ostr("# vmbench 1: TSC ticks per operation (guest instructions under -icount shift=0)\n");
  ostr("# tsc at program start: ");
  onum(boot, 0);
  och('\n');
  if (fr) {
    ostr("# scratch file: errno ");
    onum((u32)-fr, 0);
    och('\n');
  }
  i32 ts[2], te[2];
  if (!bad(sc2(NR_clock_gettime, 1, (u32)ts))) {
    u64 t0 = tsc(), t1;
    u32 ns;
    do {
      sc2(NR_clock_gettime, 1, (u32)te);
      t1 = tsc();
      ns = (u32)(te[0] - ts[0]) * 1000000000u + (u32)(te[1] - ts[1]);
    } while (ns < 20000000);
    ostr("# tsc ticks per microsecond of CLOCK_MONOTONIC: ");
    onum(div64((t1 - t0) * 10000, ns), 0, 1);
    och('\n');
  }
  ostr("# row", 26);
  ostr("           min        median    n  what\n");
  flush();
  for (const Row& r : rows) {
    bool want = first == argc;
    for (int i = first; i < argc; i++)
      if (starts(r.name, argv[i])) want = true;
    if (want) runrow(r, inl);
  }
  sc1(NR_unlink, (u32)g_file);
  ostr("# vmbench done\n");
  flush();
  return 0;
}
extern "C" __attribute__((used, noreturn)) void start_c(u32* sp) {
  find_vdso(sp);
  xexit(bench_main((int)sp[0], (char**)(sp + 1)));
  for (;;) {
  }
}
asm(".globl _start\n_start:\n\tmov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n\tpush %eax\n\tcall start_c\n");
