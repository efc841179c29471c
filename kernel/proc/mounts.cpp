// /proc/PID/mounts and mountinfo: the mounted tree.
#include "fs/mount.h"
#include "fs/namespace.h"
#include "kernel/proc/contents.h"
#include "mm/slab.h"

namespace faultline {

namespace {

struct Listing {
  FormatSink& sink;
  Path root;  // names are told as seen from here; mounts outside are left out
  Buffer<char> text;
};

struct FlagName {
  uint32_t flag;
  StringView name;
};
constexpr FlagName kFlagNames[] = {
    {kMountNoSetId, ",nosuid"},
    {kMountNoDevices, ",nodev"},
    {kMountNoExecute, ",noexec"},
    {kMountNoAccessTime, ",noatime"},
    {kMountNoDirAccessTime, ",nodiratime"},
    {kMountRelativeAccessTime, ",relatime"},
    {kMountSynchronous, ",sync"},
};

void put_options(FormatSink& sink, uint32_t flags) {
  sink.put(flags & kMountReadOnly ? "ro" : "rw");
  for (const FlagName& each : kFlagNames)
    if (flags & each.flag) sink.put(each.name);
}

// The place of a mount's root; false: not to be seen from the listing's root.
bool place_of(Mount& mount, Listing& listing, StringView& place) {
  Path top{Ref<Mount>(mount), mount.root()};
  Result<StringView> text = path_text(top, listing.root, {listing.text.data(), listing.text.size()});
  if (!text.ok()) return false;
  place = text.value();
  return true;
}

StringView source_of(const Mount& mount) { return mount.source().empty() ? StringView("none") : mount.source(); }

void put_mount(Mount& mount, void* context) {
  Listing& listing = *static_cast<Listing*>(context);
  StringView place;
  if (!place_of(mount, listing, place)) return;
  proc_put_escaped(listing.sink, source_of(mount));
  listing.sink.put(" ");
  proc_put_escaped(listing.sink, place);
  format(listing.sink, " {} ", mount.file_system().type_name());
  put_options(listing.sink, mount.flags());
  listing.sink.put(" 0 0\n");
}

void put_mount_information(Mount& mount, void* context) {
  Listing& listing = *static_cast<Listing*>(context);
  StringView place;
  if (!place_of(mount, listing, place)) return;
  Path attached = mount.attached_to();
  DeviceNumber device = mount.file_system().device();
  format(listing.sink, "{} {} {}:{} / ", mount.id(), attached.mount ? attached.mount->id() : 0, device.major, device.minor);
  proc_put_escaped(listing.sink, place);
  listing.sink.put(" ");
  put_options(listing.sink, mount.flags());
  format(listing.sink, " - {} ", mount.file_system().type_name());
  proc_put_escaped(listing.sink, source_of(mount));
  listing.sink.put(mount.file_system().is_read_only() ? " ro\n" : " rw\n");
}

Result<void> list(const ProcContext& context, FormatSink& sink, void (*put)(Mount&, void*)) {
  Ref<NameContext> names = TRY(proc_process(context))->shared_names();
  if (!names) return Errno::kINVAL;  // a zombie sees no tree
  Buffer<char> text = TRY(Buffer<char>::create(kPathLimit));
  Listing listing{sink, names->root(), std::move(text)};
  Mount::for_each(put, &listing);
  return {};
}

}  // namespace

Result<void> proc_show_mounts(const ProcContext& context, FormatSink& sink) { return list(context, sink, &put_mount); }
Result<void> proc_show_mountinfo(const ProcContext& context, FormatSink& sink) { return list(context, sink, &put_mount_information); }

}  // namespace faultline
