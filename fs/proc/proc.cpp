// The tree of /proc: nodes become inodes at each lookup; nothing is cached, for processes come and go.
#include "fs/proc/proc.h"

#include "fs/mount.h"
#include "fs/proc/proc_file.h"
#include "lib/late.h"
#include "mm/slab.h"

namespace faultline {

namespace {

constexpr uint32_t kMaxRootNodes = 64;
constexpr uint64_t kFirstFixed = 2, kFirstNumber = 1u << 16;  // cursors: the dots, fixed entries, then numbers

constinit const ProcNode* root_nodes[kMaxRootNodes] = {};
constinit ProcNode root_node{.name = "", .mode = 0040555};
constinit SpinLock<LockRank::kDevice> root_lock;  // registrations at boot

class ProcFileSystem final : public FileSystem {
 public:
  StringView type_name() const override { return "proc"; }
  Ref<Inode> root() override;
  FileSystemStatistics statistics() override { return {.type = 0x9fa0}; }
  DeviceNumber device() const override { return device_; }
  Result<void> unmount() override { return {}; }

 private:
  DeviceNumber device_ = anonymous_device_number();
};
constinit Late<ProcFileSystem> proc_instance;

bool parse_number(StringView text, uint32_t& number) {
  if (text.empty() || text.size() > 9 || (text[0] == '0' && text.size() > 1)) return false;
  number = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  return true;
}

// Inode numbers must be the same at each lookup, and differ between nodes.
uint64_t inode_number(const ProcNode& node, const ProcContext& context) {
  auto place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&node) >> 2);
  uint32_t number = (place ^ context.process * 0x9e3779b1u) + context.item * 0x85ebca6bu;
  return number < 2 ? number + 2 : number;
}

class ProcInode final : public Inode {
 public:
  ProcInode(const ProcNode& node, const ProcContext& context, const ProcNode* parent)
      : Inode(*proc_instance, &node == &root_node ? 1 : inode_number(node, context), static_cast<FileType>(node.mode & kTypeMask)),
        node_(node), context_(context), parent_(parent) {}
  ~ProcInode() override = default;

  bool names_are_stable() const override { return false; }

  AccessAttributes access_attributes() override {
    AccessAttributes access{.mode = node_.mode};
    if (node_.owner) node_.owner(context_, access.uid, access.gid);
    if (node_.permissions) access.mode = (node_.mode & kTypeMask) | node_.permissions(context_);
    return access;
  }

  Attributes attributes() override {
    AccessAttributes access = access_attributes();
    Timestamp now = wall_time();
    uint32_t links = is_directory() ? 2 : 1;
    return {.inode = number(),
            .mode = access.mode,
            .links = links,
            .uid = access.uid,
            .gid = access.gid,
            .accessed = now,
            .modified = now,
            .changed = now};
  }

  Result<void> set_attributes(const AttributeChange& change) override {
    // O_TRUNC of a file that takes commands is no change.
    return change.which == AttributeChange::kSize && node_.store ? Result<void>() : Errno::kPERM;
  }

  Result<Ref<Inode>> lookup(StringView name) override {
    if (!is_directory()) return Errno::kNOTDIR;
    if (!is_alive()) return Errno::kNOENT;
    for (const ProcNode* child : node_.children)
      if (child->name == name) return make(*child, context_);
    uint32_t wanted;
    if (!node_.dynamic || !parse_number(name, wanted) || !node_.dynamic->exists(context_, wanted)) return Errno::kNOENT;
    return make(*node_.dynamic->entry, inner(wanted));
  }

  Result<void> read_directory(uint64_t cursor, DirectorySink& sink) override {
    if (!is_alive()) return Errno::kNOENT;
    if (cursor == 0 && !sink.put(".", number(), FileType::kDirectory, 1)) return {};
    if (cursor <= 1 && !sink.put("..", parent_ ? inode_number(*parent_, {}) : 1, FileType::kDirectory, kFirstFixed)) return {};
    for (uint64_t i = cursor <= kFirstFixed ? 0 : cursor - kFirstFixed; cursor < kFirstNumber && i < node_.children.size(); i++) {
      const ProcNode& child = *node_.children[i];
      if (!sink.put(child.name, inode_number(child, context_), static_cast<FileType>(child.mode & kTypeMask), kFirstFixed + i + 1))
        return {};
    }
    return node_.dynamic ? read_numbers(cursor, sink) : Result<void>();
  }

  // Nothing is made here by name: as Linux says, there is no such place to make it in.
  Result<Ref<Inode>> create(StringView, uint32_t, DeviceNumber, const Credentials&) override { return Errno::kNOENT; }
  Result<Ref<Inode>> make_directory(StringView, uint32_t, const Credentials&) override { return Errno::kNOENT; }
  Result<Ref<Inode>> make_symlink(StringView, StringView, const Credentials&) override { return Errno::kNOENT; }

  Result<size_t> read_link(std::span<char> buffer) override {
    if (!node_.link) return Errno::kINVAL;
    BufferSink sink(buffer);
    TRY(node_.link(context_, sink));
    return sink.needed();
  }
  bool is_magic_link() const override { return node_.target != nullptr; }
  Result<void> follow_magic_link(Path& target) override {
    target = TRY(node_.target(context_));
    return {};
  }

  Result<Ref<File>> open(uint32_t flags) override {
    if (node_.open) return node_.open(context_, Ref<Inode>(*this), flags);
    if (type() == FileType::kRegular) return proc_file_open(Ref<Inode>(*this), node_, context_, flags);
    return Inode::open(flags);
  }

 private:
  // A directory that somebody keeps open outlives its process, its contents don't.
  bool is_alive() const { return context_.process == 0 || !root_node.dynamic || root_node.dynamic->exists({}, context_.process); }
  ProcContext inner(uint32_t wanted) const {
    return context_.process == 0 ? ProcContext{wanted, 0} : ProcContext{context_.process, wanted};
  }
  Result<Ref<Inode>> make(const ProcNode& node, const ProcContext& context) {
    return Ref<Inode>(Ref<ProcInode>::adopt(TRY(slab_new<ProcInode>(node, context, &node_))));
  }
  Result<void> read_numbers(uint64_t cursor, DirectorySink& sink) {
    uint32_t from = cursor < kFirstNumber ? 0 : static_cast<uint32_t>(cursor - kFirstNumber);
    for (uint32_t found; node_.dynamic->next(context_, from, found); from = found + 1) {
      char text[12];
      BufferSink name(text);
      format(name, "{}", found);
      const ProcNode& entry = *node_.dynamic->entry;
      if (!sink.put(name.text(), inode_number(entry, inner(found)), static_cast<FileType>(entry.mode & kTypeMask),
                    kFirstNumber + found + 1))
        return {};
    }
    return {};
  }
  void last_reference_gone() override { slab_delete(this); }

  const ProcNode& node_;
  const ProcContext context_;
  const ProcNode* const parent_;
};

Ref<Inode> ProcFileSystem::root() {
  Result<ProcInode*> made = slab_new<ProcInode>(root_node, ProcContext{}, nullptr);
  return made.ok() ? Ref<Inode>(Ref<ProcInode>::adopt(made.value())) : Ref<Inode>();
}

Result<FileSystem*> mount_proc(BlockDevice*, uint32_t, StringView) { return static_cast<FileSystem*>(&*proc_instance); }

}  // namespace

void proc_register(const ProcNode& node) {
  LockGuard guard(root_lock);
  size_t count = root_node.children.size();
  ASSERT(count < kMaxRootNodes);
  root_nodes[count] = &node;
  root_node.children = {root_nodes, count + 1};
}

void proc_register_processes(const ProcDynamic& processes) { root_node.dynamic = &processes; }

void proc_initialize() {
  static constexpr FileSystemType type{"proc", false, mount_proc};
  proc_instance.construct();
  ignore_result(file_system_register(type));  // boot registers each type once
}

}  // namespace faultline
