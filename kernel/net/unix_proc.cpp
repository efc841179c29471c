// /proc/net/unix, see proc(5).
#include "kernel/net/unix_socket.h"
#include "kernel/proc/contents.h"

namespace faultline {

namespace {

// Of one socket, as it is at one moment.
struct Line {
  uint32_t flags = 0, state = 0;
  uint64_t inode = 0;
  Ref<UnixName> name;
};

Line line_of(UnixEndpoint& endpoint) {
  constexpr uint32_t kAcceptsConnections = 0x10000;
  enum : uint32_t { kFree, kUnconnected, kConnecting, kConnected, kDisconnecting };  // Linux' socket_state
  Line line;
  LockGuard guard(unix_lock);
  const bool is_connected = endpoint.state() == UnixEndpoint::State::kConnected;
  if (endpoint.state() == UnixEndpoint::State::kListening) line.flags = kAcceptsConnections;
  const bool has_file = endpoint.file_ && !endpoint.is_embryo_;
  line.state = has_file ? (is_connected ? kConnected : kUnconnected) : is_connected ? kConnecting : kDisconnecting;
  if (has_file) line.inode = endpoint.file_->inode_number();
  line.name = endpoint.name_;
  return line;
}

void put_name(const UnixName& name, FormatSink& sink) {
  sink.put(" ");
  if (!name.is_abstract()) return sink.put(name.text().substring(0, name.text().size() - 1));
  for (char c : name.text()) sink.put(c == 0 ? StringView("@") : StringView(&c, 1));
}

}  // namespace

// A socket that is made or goes meanwhile may be missing.
Result<void> proc_show_net_unix(const ProcContext&, FormatSink& sink) {
  sink.put("Num       RefCount Protocol Flags    Type St Inode Path\n");
  for (Ref<UnixEndpoint> endpoint = unix_next_endpoint(nullptr); endpoint; endpoint = unix_next_endpoint(endpoint.get())) {
    Line line = line_of(*endpoint);
    format(sink, "{08x}: {08x} 00000000 {08x} {04x} {02x} {5}", 0u, endpoint->reference_count(), line.flags, endpoint->type_, line.state,
           line.inode);
    if (line.name) put_name(*line.name, sink);
    sink.put("\n");
  }
  return {};
}

}  // namespace faultline
