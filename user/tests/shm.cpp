// System V shared memory: what shmget, shmat, shmdt and shmctl do and refuse. Called as the C library does (ipc) and directly.
#include "user/tests/harness.h"
#include <sys/ipc.h>
#include <sys/shm.h>

static shmid_ds stat_of(int id) {
  shmid_ds ds = {};
  CHECK_OK(shmctl(id, IPC_STAT, &ds));
  return ds;
}
// A segment that goes with the test's last attachment.
static char* attach_new(size_t size, int* id_of = nullptr) {
  int id = CHECK_OK(shmget(IPC_PRIVATE, size, IPC_CREAT | 0600));
  char* p = (char*)shmat(id, nullptr, 0);
  if (p == (void*)-1) FAIL("shmat: %s", strerrorname_np(errno));
  CHECK_OK(shmctl(id, IPC_RMID, nullptr));
  if (id_of) *id_of = id;
  return p;
}
struct Removed {  // removes a segment at the end of the scope
  const int id;
  explicit Removed(int segment) : id(segment) {}
  Removed(const Removed&) = delete;
  ~Removed() { shmctl(id, IPC_RMID, nullptr); }
};

TEST(a_segment_is_shared_by_whoever_attaches_it) {
  const int id = CHECK_OK(shmget(IPC_PRIVATE, 5 * kPage, 0600));
  Removed segment{id};
  char *p = (char*)shmat(id, nullptr, 0), *q = (char*)shmat(id, nullptr, 0);
  CHECK(p != (void*)-1 && q != (void*)-1 && p != q);
  for (int i = 0; i < 5 * kPage; i++) CHECK_EQ(p[i], 0);
  p[3 * kPage] = 7;
  CHECK_EQ(q[3 * kPage], 7);
  CHECK_EXIT(in_child([=] {
               CHECK_EQ(p[3 * kPage], 7);  // inherited
               char* r = (char*)shmat(id, nullptr, SHM_RDONLY);
               CHECK(r[3 * kPage] == 7);
               CHECK_FAULT(poke(uintptr_t(r), 1), SIGSEGV, SEGV_ACCERR, r);
               p[4 * kPage] = 8;
             }),
             0);
  CHECK_EQ(q[4 * kPage], 8);
  CHECK_OK(shmdt(p));
  CHECK_FAULT(peek(uintptr_t(p)), SIGSEGV, SEGV_MAPERR, p);
  CHECK_EQ(q[3 * kPage], 7);
  CHECK_OK(shmdt(q));
  q = (char*)shmat(id, nullptr, 0);  // what was written stays without anybody attached
  CHECK_EQ(q[3 * kPage], 7);
}
TEST(attachments_are_counted) {
  int id = CHECK_OK(shmget(IPC_PRIVATE, kPage, 0640));
  Removed segment{id};
  shmid_ds ds = stat_of(id);
  CHECK(ds.shm_segsz == kPage && ds.shm_nattch == 0 && ds.shm_cpid == getpid() && ds.shm_lpid == 0 && ds.shm_atime == 0);
  CHECK((ds.shm_perm.mode & 0777) == 0640 && ds.shm_perm.uid == geteuid() && ds.shm_perm.cuid == geteuid());
  CHECK(ds.shm_ctime > 1000000000);
  char *p = (char*)shmat(id, nullptr, 0), *q = (char*)shmat(id, nullptr, 0);
  ds = stat_of(id);
  CHECK(ds.shm_nattch == 2 && ds.shm_lpid == getpid() && ds.shm_atime != 0 && ds.shm_dtime == 0);
  Gate gate, go;
  pid_t child = in_child([&] {
    gate.open();
    go.wait();
  });
  gate.wait();
  CHECK_EQ(stat_of(id).shm_nattch, 4);  // fork attaches
  go.open();
  CHECK_EXIT(child, 0);
  ds = stat_of(id);
  CHECK(ds.shm_nattch == 2 && ds.shm_dtime != 0);  // exit detaches
  CHECK_OK(shmdt(p));
  CHECK_OK(munmap(q, kPage));  // so does munmap
  CHECK_EQ(stat_of(id).shm_nattch, 0);
}
TEST(a_removed_segment_lives_until_the_last_detaches) {
  int id;
  char* p = attach_new(2 * kPage, &id);
  p[kPage] = 5;
  CHECK(stat_of(id).shm_perm.mode & 01000);  // SHM_DEST
  CHECK_EXIT(in_child([=] {
               CHECK_EQ(p[kPage], 5);
               p[0] = 6;
             }),
             0);
  CHECK_EQ(p[0], 6);
  CHECK_OK(shmdt(p));
  shmid_ds ds;
  CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
  CHECK_ERR((long)shmat(id, nullptr, 0), EINVAL);
}
TEST(keys_name_segments) {
  const key_t key = 0x46410000 + getpid();
  CHECK_ERR(shmget(key, kPage, 0600), ENOENT);
  int id = CHECK_OK(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600));
  Removed segment{id};
  CHECK_EQ(shmget(key, 100, 0600), id);
  CHECK_EQ(shmget(key, 0, 0), id);
  CHECK_EQ(shmget(key, 50, IPC_CREAT | 0600), id);
  CHECK_ERR(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
  CHECK_ERR(shmget(key, 101, 0600), EINVAL);  // larger than it is
  CHECK(stat_of(id).shm_perm.__key == key && stat_of(id).shm_segsz == 100);
  CHECK_OK(shmctl(id, IPC_RMID, nullptr));
  CHECK_ERR(shmget(key, 100, 0600), ENOENT);
  int other = CHECK_OK(shmget(key, 100, IPC_CREAT | 0600));
  Removed again{other};
  CHECK(other != id);  // old ids are not used again soon
  CHECK_ERR((long)shmat(id, nullptr, 0), EINVAL);
}
TEST(what_shmget_refuses) {
  CHECK_ERR(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
  CHECK_ERR(shmget(0x46419999, 0, IPC_CREAT | 0600), EINVAL);
  CHECK_ERR(shmctl(-1, IPC_RMID, nullptr), EINVAL);
  CHECK_ERR(shmctl(0x7ffffff0, IPC_RMID, nullptr), EINVAL);
  shmid_ds ds;
  CHECK_ERR(shmctl(0x7ffffff0, IPC_STAT, &ds), EINVAL);
  int id = CHECK_OK(shmget(IPC_PRIVATE, kPage, 0600));
  Removed segment{id};
  CHECK_ERR(shmctl(id, 77, nullptr), EINVAL);
  CHECK_ERR(syscall(396, id, IPC_STAT, 4), EFAULT);
}
TEST(where_to_attach) {
  int id = CHECK_OK(shmget(IPC_PRIVATE, 3 * kPage, 0600));
  Removed segment{id};
  char* place = map_pages(16);
  auto at = [=](char* where, int flags) { return (long)shmat(id, where, flags); };
  CHECK_ERR(at(place, 0), EINVAL);  // taken
  CHECK_ERR(at(place + 1, 0), EINVAL);
  CHECK_ERR(at(nullptr, SHM_REMAP), EINVAL);
  CHECK_EQ(at(place, SHM_REMAP), long(place));
  place[2 * kPage] = 3;
  CHECK_OK(munmap(place + 8 * kPage, 4 * kPage));
  CHECK_EQ(at(place + 8 * kPage + 17, SHM_RND), long(place + 8 * kPage));
  CHECK_EQ(place[10 * kPage], 3);
  CHECK_ERR(shmdt(place + kPage), EINVAL);  // not where it begins
  CHECK_ERR(shmdt(place + 1), EINVAL);
  CHECK_ERR(shmdt(place + 4 * kPage), EINVAL);  // not a segment
  CHECK_OK(munmap(place + kPage, kPage));       // a hole: the rest is detached all the same
  CHECK_OK(shmdt(place));
  CHECK_FAULT(peek(uintptr_t(place) + 2 * kPage), SIGSEGV, SEGV_MAPERR, place + 2 * kPage);
  CHECK_EQ(place[3 * kPage], 0);
  CHECK_EQ(place[10 * kPage], 3);
  CHECK_ERR(shmdt(place), EINVAL);
}
TEST(who_may) {
  int id = CHECK_OK(shmget(IPC_PRIVATE, kPage, 0604));
  Removed segment{id};
  CHECK_EXIT(in_child([=] {
               CHECK_OK(syscall(SYS_setresgid32, 54321, 54321, 54321));
               CHECK_OK(syscall(SYS_setresuid32, 12345, 12345, 12345));
               CHECK_ERR((long)shmat(id, nullptr, 0), EACCES);
               CHECK((long)shmat(id, nullptr, SHM_RDONLY) != -1);
               shmid_ds ds;
               CHECK_OK(shmctl(id, IPC_STAT, &ds));
               CHECK_ERR(shmctl(id, IPC_SET, &ds), EPERM);
               CHECK_ERR(shmctl(id, IPC_RMID, nullptr), EPERM);
             }),
             0);
  shmid_ds ds = stat_of(id);
  ds.shm_perm.mode = 0600;
  ds.shm_perm.uid = 12345;
  CHECK_OK(shmctl(id, IPC_SET, &ds));
  CHECK((stat_of(id).shm_perm.mode & 0777) == 0600);
  CHECK_EXIT(in_child([=] {
               CHECK_OK(syscall(SYS_setresuid32, 12345, 12345, 12345));
               CHECK((long)shmat(id, nullptr, 0) != -1);  // the owner now
             }),
             0);
}
// The calls without ipc(117) in front: 395 shmget, 396 shmctl, 397 shmat, 398 shmdt.
TEST(the_direct_calls) {
  int id = CHECK_OK(syscall(395, IPC_PRIVATE, kPage, 0600));
  Removed segment{id};
  char* p = (char*)syscall(397, id, nullptr, 0);
  CHECK(p != (void*)-1);
  p[5] = 5;
  CHECK_EQ(((char*)shmat(id, nullptr, 0))[5], 5);
  shmid_ds ds = {};
  CHECK_OK(syscall(396, id, IPC_STAT, &ds));
  CHECK(ds.shm_nattch == 2 && ds.shm_segsz == kPage);
  CHECK_OK(syscall(398, p));
  CHECK_EQ(stat_of(id).shm_nattch, 1);
}
TEST(segments_are_listed) {
  int id = CHECK_OK(shmget(IPC_PRIVATE, 12345, 0600));
  Removed segment{id};
  char* p = (char*)shmat(id, nullptr, 0);
  p[0] = 1;
  FILE* file = fopen("/proc/sysvipc/shm", "r");
  CHECK(file != nullptr);
  char line[512];
  bool found = false;
  CHECK(fgets(line, sizeof line, file) && strstr(line, "shmid perms") && strstr(line, "nattch"));
  while (fgets(line, sizeof line, file)) {
    unsigned long key, number, mode, size, creator, last, attached;
    CHECK_EQ(sscanf(line, "%lu %lu %lo %lu %lu %lu %lu", &key, &number, &mode, &size, &creator, &last, &attached), 7);
    if (int(number) == id) found = (mode & 0777) == 0600 && size == 12345 && int(creator) == getpid() && attached == 1;
  }
  fclose(file);
  CHECK(found);
  shm_info info = {};
  int highest = CHECK_OK(shmctl(0, SHM_INFO, (shmid_ds*)&info));
  CHECK(info.used_ids >= 1 && highest >= 0 && info.shm_tot >= 4);
  bool seen = false;
  for (int i = 0; i <= highest; i++) {
    shmid_ds ds;
    seen = seen || shmctl(i, SHM_STAT, &ds) == id;
  }
  CHECK(seen);
}
TEST(many_segments_come_and_go) {
  for (int i = 0; i < 300; i++) {
    char* p = attach_new((1 + i % 5) * kPage);
    p[0] = i;
    if (i & 1) CHECK_OK(shmdt(p));  // the rest goes when the test ends
  }
}
