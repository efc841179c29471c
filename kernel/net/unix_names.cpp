// What AF_UNIX sockets are called: paths, which are found by the inode that bind made, and abstract names, each of them for one type of socket.
#include "kernel/files/support.h"
#include "kernel/net/unix_socket.h"
#include "lib/late.h"

namespace faultline {

namespace {

constexpr uint32_t kBuckets = 256;
struct Names {
  List<UnixEndpoint, NamedTag> buckets[kBuckets];
};
constinit Late<Names> names GUARDED_BY(unix_lock);

List<UnixEndpoint, NamedTag>& bucket_of(const UnixName& name) REQUIRES(unix_lock) {
  uint32_t hash = 0;
  if (name.is_abstract()) {
    for (char c : name.text()) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193u;
  } else {
    hash = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(name.place.inode()) >> 4) * 0x9e3779b1u;
  }
  return names->buckets[(hash ^ hash >> 16) % kBuckets];
}

bool is_same(const UnixName& a, const UnixName& b) {
  if (a.is_abstract() != b.is_abstract()) return false;
  return a.is_abstract() ? a.text() == b.text() : a.place.inode() == b.place.inode();
}

// Abstract names of different types have nothing to do with each other; a path has one socket.
UnixEndpoint* find_locked(const UnixName& name, uint32_t type) REQUIRES(unix_lock) {
  for (UnixEndpoint& endpoint : bucket_of(name))
    if (is_same(*endpoint.name_, name) && (!name.is_abstract() || endpoint.type_ == type)) return &endpoint;
  return nullptr;
}

// kADDRINUSE
Result<void> publish(UnixEndpoint& endpoint, Ref<UnixName> name) {
  LockGuard guard(unix_lock);
  if (name->is_abstract() && find_locked(*name, endpoint.type_)) return Errno::kADDRINUSE;
  bucket_of(*name).push_back(endpoint);
  endpoint.name_ = std::move(name);
  return {};
}

// One at a time gives a socket its name, and only once.
class NamingTurn {
 public:
  explicit NamingTurn(UnixEndpoint& endpoint) : endpoint_(endpoint) {}
  NamingTurn(const NamingTurn&) = delete;
  NamingTurn& operator=(const NamingTurn&) = delete;
  ~NamingTurn() {
    LockGuard guard(unix_lock);
    if (is_taken_) endpoint_.is_naming_ = false;
  }
  bool take() {
    LockGuard guard(unix_lock);
    is_taken_ = !endpoint_.is_naming_ && !endpoint_.name_;
    if (is_taken_) endpoint_.is_naming_ = true;
    return is_taken_;
  }

 private:
  UnixEndpoint& endpoint_;
  bool is_taken_ = false;
};

// A path ends at its first NUL, an abstract name has all bytes that were given.
Result<Ref<UnixName>> name_of(const SocketAddress& address) {
  Ref<UnixName> name = Ref<UnixName>::adopt(TRY(slab_new<UnixName>()));
  memcpy(name->address, address.data, address.bytes);
  name->bytes = address.bytes;
  if (name->address[UnixName::kFamilyBytes] == 0) return name;
  uint32_t end = UnixName::kFamilyBytes;
  while (end < address.bytes && name->address[end] != 0) end++;
  name->bytes = end + 1;
  return name;
}

bool is_path(const UnixName& name) { return name.address[UnixName::kFamilyBytes] != 0; }
StringView path_in(const UnixName& name) { return name.text().substring(0, name.text().size() - 1); }

// Only the permission counts: a socket on a read-only file system can be written to.
Result<void> check_may_connect(Inode& inode) {
  AccessAttributes access = inode.access_attributes();
  TRY(permission_check(caller_credentials(), access.mode, access.uid, access.gid, kMayWrite));
  return inode.type() == FileType::kSocket ? Result<void>() : Errno::kCONNREFUSED;
}

}  // namespace

void unix_names_initialize() {
  LockGuard guard(unix_lock);
  names.construct();
}

Result<void> unix_check_address(const SocketAddress& address) {
  bool is_valid =
      address.family() == abi::kFamilyUnix && address.bytes > UnixName::kFamilyBytes && address.bytes <= sizeof(abi::UnixAddress);
  return is_valid ? Result<void>() : Errno::kINVAL;
}

Result<Ref<UnixEndpoint>> unix_find(const SocketAddress& address, uint32_t type) {
  Ref<UnixName> name = TRY(name_of(address));
  if (is_path(*name)) {
    name->place = TRY(path_resolve(name_caller(), path_in(*name), FollowLast::kYes));
    TRY(check_may_connect(*name->place.inode()));
  }
  LockGuard guard(unix_lock);
  UnixEndpoint* found = find_locked(*name, type);
  if (!found) return Errno::kCONNREFUSED;
  if (found->type_ != type) return Errno::kPROTOTYPE;
  return Ref<UnixEndpoint>(*found);
}

Result<void> unix_bind(UnixEndpoint& endpoint, const SocketAddress& address, uint32_t mode) {
  if (address.bytes == UnixName::kFamilyBytes && address.family() == abi::kFamilyUnix) return unix_bind_automatically(endpoint);
  TRY(unix_check_address(address));
  NamingTurn turn(endpoint);
  if (!turn.take()) return Errno::kINVAL;
  Ref<UnixName> name = TRY(name_of(address));
  if (is_path(*name)) {
    uint32_t wanted = static_cast<uint32_t>(FileType::kSocket) | (mode & kModeMask);
    Result<Path> place = path_make_node(name_caller(), path_in(*name), wanted, {});
    if (!place.ok()) return place.error() == Errno::kEXIST ? Errno::kADDRINUSE : place.error();
    name->place = place.release_value();
  }
  return publish(endpoint, std::move(name));
}

// Five hexadecimal digits, as unix(7) says.
Result<void> unix_bind_automatically(UnixEndpoint& endpoint) {
  constexpr uint32_t kNames = 1u << 20;
  static constinit Atomic<uint32_t> next{0};
  NamingTurn turn(endpoint);
  if (!turn.take()) return {};
  for (uint32_t tries = 0; tries < kNames; tries++) {
    Ref<UnixName> name = Ref<UnixName>::adopt(TRY(slab_new<UnixName>()));
    uint16_t family = abi::kFamilyUnix;
    memcpy(name->address, &family, sizeof family);
    BufferSink sink({name->address + UnixName::kFamilyBytes + 1, UnixName::kLimit - UnixName::kFamilyBytes - 1});
    format(sink, "{05x}", next.fetch_add(1, memory_order_relaxed) % kNames);
    name->bytes = UnixName::kFamilyBytes + 1 + 5;
    Result<void> published = publish(endpoint, std::move(name));
    if (published.ok() || published.error() != Errno::kADDRINUSE) return published;
  }
  return Errno::kNOSPC;
}

void unix_forget_name_locked(UnixEndpoint& endpoint) {
  if (static_cast<ListNode<NamedTag>&>(endpoint).is_linked()) static_cast<ListNode<NamedTag>&>(endpoint).unlink();
}

void unix_tell_address(UnixEndpoint& endpoint, SocketAddress& address) {
  Ref<UnixName> name = endpoint.name();
  uint16_t family = abi::kFamilyUnix;
  address.bytes = name ? name->bytes : UnixName::kFamilyBytes;
  memcpy(address.data, name ? name->address : reinterpret_cast<const char*>(&family), address.bytes);
}

void unix_tell_sender(UnixEndpoint& sender, SocketAddress& address) {
  unix_tell_address(sender, address);
  if (address.bytes == UnixName::kFamilyBytes) address.bytes = 0;
}

}  // namespace faultline
