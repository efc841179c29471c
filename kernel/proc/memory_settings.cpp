// /proc/sys/vm: how much memory is promised, and what can be given up on request.
#include "kernel/proc/contents.h"
#include "kernel/proc/drop_caches.h"
#include "mm/commit.h"

namespace faultline {

namespace {

Result<uint32_t> whole_number(StringView text) {
  uint32_t number;
  if (!proc_take_number(text, number) || !text.empty()) return Errno::kINVAL;
  return number;
}

Result<void> show_overcommit(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", static_cast<uint32_t>(commit_mode()));
  return {};
}
Result<void> store_overcommit(const ProcContext&, StringView text) {
  const uint32_t mode = TRY(whole_number(text));
  if (mode > static_cast<uint32_t>(Overcommit::kNever)) return Errno::kINVAL;
  commit_set_mode(static_cast<Overcommit>(mode));
  return {};
}
constexpr ProcNode kOvercommit = proc_setting("overcommit_memory", &show_overcommit, &store_overcommit);

template <Atomic<uint32_t> CommitSettings::*kSetting>
Result<void> show_setting(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", (commit_settings.*kSetting).load(memory_order_relaxed));
  return {};
}
template <Atomic<uint32_t> CommitSettings::*kSetting>
Result<void> store_setting(const ProcContext&, StringView text) {
  (commit_settings.*kSetting).store(TRY(whole_number(text)), memory_order_relaxed);
  return {};
}
// A share of RAM or a number of bytes: the one that was set last holds.
template <Atomic<uint32_t> CommitSettings::*kSetting, Atomic<uint32_t> CommitSettings::*kOther>
Result<void> store_instead(const ProcContext& context, StringView text) {
  TRY(store_setting<kSetting>(context, text));
  (commit_settings.*kOther).store(0, memory_order_relaxed);
  return {};
}
using Settings = CommitSettings;
constexpr ProcNode kRatio =
    proc_setting("overcommit_ratio", &show_setting<&Settings::ratio>, &store_instead<&Settings::ratio, &Settings::kilobytes>);
constexpr ProcNode kKilobytes =
    proc_setting("overcommit_kbytes", &show_setting<&Settings::kilobytes>, &store_instead<&Settings::kilobytes, &Settings::ratio>);
constexpr ProcNode kAdminReserve =
    proc_setting("admin_reserve_kbytes", &show_setting<&Settings::admin_reserve>, &store_setting<&Settings::admin_reserve>);
constexpr ProcNode kUserReserve =
    proc_setting("user_reserve_kbytes", &show_setting<&Settings::user_reserve>, &store_setting<&Settings::user_reserve>);

Result<void> show_max_map_count(const ProcContext&, FormatSink& sink) {
  format(sink, "{}\n", RegionSet::kLimit);
  return {};
}
constexpr ProcNode kMaxMapCount = proc_file("max_map_count", &show_max_map_count);

// 1: pages; 2: names and inodes; 3: both. Other numbers are kINVAL.
Result<void> store_drop_caches(const ProcContext&, StringView text) {
  if (text.size() != 1 || text[0] < '1' || text[0] > '3') return Errno::kINVAL;
  if (text[0] == '3')
    drop_all_caches();
  else if (text[0] == '2')
    drop_names();
  else
    drop_page_cache();
  return {};
}
constexpr ProcNode kDropCaches = {.name = "drop_caches", .mode = 0100200, .store = &store_drop_caches};

constexpr const ProcNode* kFiles[] = {&kOvercommit, &kRatio, &kKilobytes, &kAdminReserve, &kUserReserve, &kMaxMapCount, &kDropCaches};

}  // namespace

constinit const ProcNode kProcMemorySettingsNode = proc_directory("vm", kFiles);

}  // namespace faultline
