// /proc/PID/fd, fdinfo, exe, cwd and root: magic links to what a process has open.
#include "fs/anonymous.h"
#include "fs/descriptor_table.h"
#include "fs/namespace.h"
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

Result<Ref<File>> open_file(const ProcContext& context) {
  Ref<Process> process = TRY(proc_inspectable_process(context));
  Ref<DescriptorTable> table = process->shared_descriptors();
  if (!table) return Errno::kNOENT;
  Ref<File> file = table->find(context.item);
  if (!file) return Errno::kNOENT;
  return file;
}

bool next_descriptor(const ProcContext& directory, uint32_t from, uint32_t& number) {
  Ref<Process> process = Process::find(directory.process);
  Ref<DescriptorTable> table = process ? process->shared_descriptors() : Ref<DescriptorTable>();
  if (!table || from >= DescriptorTable::kLimit) return false;
  number = table->next_open(from);
  return number < DescriptorTable::kLimit;
}
bool descriptor_exists(const ProcContext& directory, uint32_t number) {
  uint32_t next;
  return next_descriptor(directory, number, next) && next == number;
}

Result<void> link_descriptor(const ProcContext& context, FormatSink& sink) {
  TRY(open_file(context))->describe(sink);
  return {};
}
Result<Path> target_of_descriptor(const ProcContext& context) { return path_of_file(*TRY(open_file(context))); }

Result<void> show_descriptor(const ProcContext& context, FormatSink& sink) {
  Ref<File> file = TRY(open_file(context));
  uint64_t position = file->is_seekable() ? file->seek(0, kSeekCurrent).value_or(0) : 0;
  uint32_t mount = file->path().mount ? file->path().mount->id() : 0;
  format(sink, "pos:\t{}\nflags:\t0{o}\nmnt_id:\t{}\nino:\t{}\n", position, file->flags(), mount, file->inode_number());
  file->describe_state(sink);
  return {};
}

// A link's mode tells how the file is open.
uint32_t permissions_of_descriptor(const ProcContext& context) {
  Result<Ref<File>> file = open_file(context);
  if (!file.ok()) return 0700;
  return 0100u | (file.value()->is_readable() ? 0400u : 0) | (file.value()->is_writable() ? 0200u : 0);
}

constexpr ProcNode kDescriptorLink = {.name = "",
                                      .mode = 0120700,
                                      .link = &link_descriptor,
                                      .target = &target_of_descriptor,
                                      .owner = &proc_owner_of_process,
                                      .permissions = &permissions_of_descriptor};
constexpr ProcNode kDescriptorFile = {.name = "", .mode = kProcPrivateFile, .show = &show_descriptor, .owner = &proc_owner_of_process};
constexpr ProcDynamic kLinks = {&kDescriptorLink, &next_descriptor, &descriptor_exists};
constexpr ProcDynamic kFiles = {&kDescriptorFile, &next_descriptor, &descriptor_exists};

Result<Path> target_of_exe(const ProcContext& context) {
  Ref<File> file = TRY(proc_inspectable_process(context))->executable();
  if (!file) return Errno::kNOENT;
  return file->path();
}
Result<Ref<NameContext>> names_of(const ProcContext& context) {
  Ref<NameContext> names = TRY(proc_inspectable_process(context))->shared_names();
  if (!names) return Errno::kNOENT;
  return names;
}
Result<Path> target_of_cwd(const ProcContext& context) { return TRY(names_of(context))->current(); }
Result<Path> target_of_root(const ProcContext& context) { return TRY(names_of(context))->root(); }

template <Result<Path> (*kTarget)(const ProcContext&)>
Result<void> link_target(const ProcContext& context, FormatSink& sink) {
  path_describe(TRY(kTarget(context)), sink);
  return {};
}
template <Result<Path> (*kTarget)(const ProcContext&)>
constexpr ProcNode magic_link(StringView name) {
  return {.name = name, .mode = kProcLink, .link = &link_target<kTarget>, .target = kTarget, .owner = &proc_owner_of_process};
}

}  // namespace

constexpr ProcNode kProcFdNode = {.name = "fd", .mode = kProcPrivateDirectory, .dynamic = &kLinks, .owner = &proc_owner_of_process};
constexpr ProcNode kProcFdinfoNode = {.name = "fdinfo", .mode = kProcPrivateDirectory, .dynamic = &kFiles, .owner = &proc_owner_of_process};
constexpr ProcNode kProcExeNode = magic_link<target_of_exe>("exe");
constexpr ProcNode kProcCwdNode = magic_link<target_of_cwd>("cwd");
constexpr ProcNode kProcRootNode = magic_link<target_of_root>("root");

}  // namespace faultline
